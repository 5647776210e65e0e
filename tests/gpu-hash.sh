#!/usr/bin/env bash
# Prints a hash of the GPU backends' sources, or with -check compares it with that in
# docs/gpu-report.md. The other bindings are modules of their own, and not in it.
set -euo pipefail
cd "$(dirname "$0")/.."
hash=$(find runtime/gpu runtime/cuda runtime/opencl -type f ! -name '*_test.go' ! -path '*/gorgoniacu/*' ! -path '*/goopencl/*' | LC_ALL=C sort | xargs sha256sum | sha256sum | cut -c1-16)
if [ "${1:-}" = -check ]; then
  grep -q "| sources | $hash |" docs/gpu-report.md || {
    echo "docs/gpu-report.md is of other sources than $hash: run make gpu-binaries here and make gpu-check on a machine with a GPU"
    exit 1
  }
fi
echo "$hash"
