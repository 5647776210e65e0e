#!/usr/bin/env bash
# Tries the GPU backends on this machine's NVIDIA GPU with binaries that `make
# gpu-binaries` made elsewhere: no Go is needed. Writes a report to stdout.
#
#	tests/gpu-check.sh [bin/gpu.tar.xz] > docs/gpu-report.md
set -uo pipefail
cd "$(dirname "$0")/.."
packed=$(realpath "${1:-bin/gpu.tar.xz}")
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
tar -C "$work" -xJf "$packed" 2>/dev/null || python3 -m tarfile -e "$packed" "$work"
chmod +x "$work"/*
export MNNCONV_GPU=real PATH="$work:$PATH" MNNCONV_GPU_BIG="$work/3b"
# cuBLASLt may lie among Python's packages, wherever those are.
LD_LIBRARY_PATH=$(python3 -c 'import glob, sys; print(":".join(d for p in sys.path for d in glob.glob(p + "/nvidia/*/lib")))' 2>/dev/null)${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}
export LD_LIBRARY_PATH
from=$SECONDS
failed=0
rows=

# part TITLE SHOWS SECONDS COMMAND...: a section with the end of what the command printed;
# SHOWS is what is wanted, and stands in the table at the end.
part() {
  local title=$1 shows=$2 limit=$3 start=$SECONDS
  shift 3
  timeout -k 5 "$limit" "$@" >"$work/out" 2>&1
  local rc=$?
  printf '\n## %s: %s\n\nWanted: %s.\n\n```\n' "$title" "$([ $rc -eq 0 ] && echo passed || echo "FAILED, exit $rc")" "$shows"
  rows+="| $shows | $title |"$'\n'
  cut -c1-200 "$work/out" | grep -v '^goos\|^goarch\|^cpu:' | tail -n 45
  printf '```\n%d s\n' "$((SECONDS - start))"
  [ $rc -eq 0 ] || failed=1
}

printf '# What the GPU backends did on a GPU\n\nWritten by `make gpu-check`.\n\n'
printf '| | |\n| --- | --- |\n| date | %s |\n' "$(date -u +%F)"
nvidia-smi --query-gpu=name,driver_version,memory.total --format=csv,noheader | sed 's/\(.*\), \(.*\), \(.*\)/| device | \1 |\n| driver | \2 |\n| memory | \3 |/'
printf '| sources | %s |\n' "$(tests/gpu-hash.sh)"

{ bigmodel -shape 3b -o "$work/3b" && bigmodel -shape 3b -type bfloat16 -o "$work/3b-bf16"; } >"$work/gen" 2>&1 &
part 'Devices' 'platforms, drivers, memory, which devices are one GPU' 20 mnnconv devices
part 'CUDA: transfers, operator cases and kernels against their reference' 'all operator cases on CUDA' 90 cuda.test -test.v -test.run 'TestTransfers|TestKernels|TestLibrary|TestCases|TestAhead'
part 'OpenCL: operator cases and kernels against their reference' 'all operator cases on OpenCL' 90 opencl.test -test.v -test.run 'TestKernels|TestCases|TestAhead'
part 'Conversations and twenty questions: all on CUDA, nine pairs of devices' 'nine pairs: the reference texts on 20 questions and the seven conversations; quantised exports: the tokens of the cpu; a decode step is one graph launch' 120 tests.test -test.v -test.run 'TestCUDA|TestGPUPairs'
part 'Each partition and kernel against the operators'"'"' definitions, nine pairs of devices' 'compare passes on all' 120 tests.test -test.v -test.run TestGPUCompare
part 'KV states of other types' 'float32, float16 and bfloat16 on the cpu beside a GPU; on a GPU the type of its attention, others refused by name' 60 tests.test -test.v -test.run TestGPUStates
part 'A thousand requests, vision on CUDA and the language model on OpenCL' '1,000 requests in one process: no fault, memory after 1,000 as after 100' 60 tests.test -test.v -test.run 'TestGPUThousand'
wait
part 'First logits of the 3B shape against the cpu' '3B shape on cuda:0, on opencl:0 and cut across both: first logits within tolerance of the cpu' 90 tests.test -test.v -test.run TestGPUBig
part 'Copies of 11.2 MB between CUDA and OpenCL' 'direct ≤ 100 µs, staged ≥ 8 GB/s, both bit-exact' 60 tests.test -test.run TestGPUStaged -test.bench GPUCopies -test.benchtime 100x
part 'Uploads of a mapped file of 1 GiB' 'weights go up faster than from pageable memory, 7.5 GB/s' 60 tests.test -test.run '^$' -test.bench GPUUpload -test.benchtime 3x
part 'Speed: 3B shape in float16 on cuda:0' 'decode float16 at context 512, CUDA: ≥ 300 tok/s; prefill 2,048: ≤ 60 ms; vision 448×448: ≤ 20 ms' 40 mnnconv bench "$work/3b" --place cuda:0 -c 4096 -p 512,2048 -d 512 -n 100 -r 3
MNNCONV_CUBLASLT=off part 'Speed: 3B shape in float16 on cuda:0, without cuBLASLt' 'prefill 2,048: ≤ 60 ms; vision 448×448: ≤ 20 ms' 40 mnnconv bench "$work/3b" --place cuda:0 -c 4096 -p 512,2048 -n 10 -r 3
part 'Speed: 3B shape in float16 on opencl:0' 'decode float16 at context 512, OpenCL: ≥ 200 tok/s' 60 mnnconv bench "$work/3b" --place opencl:0 -c 4096 -p 512,2048 -d 512 -n 50 -r 2
part 'Speed: 3B shape in bfloat16 on cuda:0' 'decode bfloat16 at context 512, CUDA: ≥ 300 tok/s; vision in bfloat16' 40 mnnconv bench "$work/3b-bf16" --place cuda:0 -c 4096 -p 512,2048 -d 512 -n 100 -r 3
part 'Speed: 3B shape in bfloat16 on opencl:0' 'decode bfloat16 at context 512, OpenCL: ≥ 200 tok/s; vision in bfloat16' 60 mnnconv bench "$work/3b-bf16" --place opencl:0 -c 4096 -p 512,2048 -d 512 -n 100 -r 2
rm -rf "$work/3b-bf16"
part 'Speed: 3B shape in float16, vision on CUDA, language model on OpenCL' 'the pair that crashed elsewhere' 60 mnnconv bench "$work/3b" --place vision=cuda:0,llm=opencl:0 -c 4096 -p 512 -n 50 -r 2
part 'The 3B shape in 4 bits' 'a package of the 3B shape' 60 mnnconv convert "$work/3b" -o "$work/3b4.mnnc" --quantize llm=int4:32,head=int4:32,embed=int4:32
part 'Speed: 4 bits on cuda:0, behind a context of 512' 'decode 4-bit, CUDA: ≥ 440 tok/s' 40 mnnconv bench "$work/3b4.mnnc" --place cuda:0 -c 1024 -p 512 -d 512 -n 100 -r 3 --image-size 0x0
part 'Speed: 4 bits on opencl:0, behind a context of 512' 'decode 4-bit, OpenCL: ≥ 260 tok/s' 40 mnnconv bench "$work/3b4.mnnc" --place opencl:0 -c 1024 -p 512 -d 512 -n 100 -r 2 --image-size 0x0
part 'Decode at context 512 on cuda:0' 'where the time of a step goes' 30 mnnconv run "$work/3b" --place cuda:0 -c 1024 -p "$(yes word | head -490 | tr '\n' ' ')" -n 100 --stats
part 'Speed: kernels of CUDA' 'what single kernels reach' 40 cuda.test -test.run '^$' -test.bench Kernels -test.benchtime 3x
if command -v compute-sanitizer >/dev/null; then
  part 'compute-sanitizer memcheck' 'memcheck over the CUDA tests: clean' 60 compute-sanitizer --tool memcheck --error-exitcode 7 "$work/cuda.test" -test.run 'TestTransfers|TestKernels'
  part 'compute-sanitizer racecheck' 'racecheck over the CUDA tests: clean' 60 compute-sanitizer --tool racecheck --error-exitcode 7 "$work/cuda.test" -test.run 'TestKernels/(Tensor|Norms|Products|Attention|State)'
fi
printf '\n## What was wanted\n\n| wanted | part |\n| --- | --- |\n%s' "$rows"
printf '\n%s in %d s.\n' "$([ $failed -eq 0 ] && echo 'All passed,' || echo 'Not all passed,')" "$((SECONDS - from))"
exit $failed
