//go:build armbe || arm64be || mips || mips64 || mips64p32 || ppc || ppc64 || s390 || s390x || sparc || sparc64

package graph

// Tensors are read where they lie, as ONNX stores them: the lowest byte first.
const _ int = "mnnconv needs a little-endian processor, such as amd64, arm64, ppc64le or riscv64"
