#!/usr/bin/env bash
# Builds and tests the binding on the stand-in for libcuda, with the headers of a pinned
# wheel from PyPI: needs Python 3 with venv, and a C compiler. With -real it takes the
# machine's own libcuda.
set -euo pipefail
cd "$(dirname "$0")"
wheel='nvidia-cuda-runtime-cu12==12.4.127'
venv=../../../.cache/cudart
headers() { compgen -G "$venv/lib/python3*/site-packages/nvidia/cuda_runtime/include"; }
if ! headers >/dev/null; then
  python3 -m venv "$venv"
  "$venv/bin/pip" install -q --disable-pip-version-check --no-deps "$wheel"
fi
export GOFLAGS=-mod=mod CGO_ENABLED=1 CGO_CFLAGS="-O2 -I$(realpath "$(headers)")"
if [ "${1:-}" != -real ]; then
  libraries=$(go run mnnconv/runtime/cuda/standin/folder)
  export CGO_LDFLAGS="-L$libraries" LD_LIBRARY_PATH="$libraries"
fi
go vet -tags cu ./...
go test -count 1 -tags cu ./...
go run -tags cu ./check
