#!/usr/bin/env bash
# Compiles the kernels' source to PTX, with the NVRTC of a pinned wheel from PyPI:
# needs Python 3 with venv, and no GPU. With -check it only compares.
set -euo pipefail
cd "$(dirname "$0")"
wheel='nvidia-cuda-nvrtc-cu12==12.4.127'
venv=../../.cache/nvrtc
if ! compgen -G "$venv/lib/python3*/site-packages/nvidia/cuda_nvrtc/lib/libnvrtc.so.12" >/dev/null; then
  python3 -m venv "$venv"
  "$venv/bin/pip" install -q --disable-pip-version-check --no-deps "$wheel"
fi
go run ./internal/ptxgen -nvrtc "$(compgen -G "$venv/lib/python3*/site-packages/nvidia/cuda_nvrtc/lib/libnvrtc.so.12")" "$@"
