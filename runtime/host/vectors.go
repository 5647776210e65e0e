package host

import "mnnconv/runtime/host/internal/simd"

// vectors is the level of vector instructions whose loops all kernels use.
var vectors, errVectors = simd.Best()

// CheckVectors returns an error where the environment variable MNNCONV_CPU names a
// level of vector instructions (amx, avx512bf16, avx512, avx2, go) that this processor
// lacks. The best one is used then.
func CheckVectors() error { return errVectors }

// Vectors returns the level of vector instructions in use, as MNNCONV_CPU calls it.
func Vectors() string { return vectors.String() }

// panel is a matrix of float32 that lies in a larger one.
type panel = simd.Panel[float32]

func panelOf(at []float32, stride int) panel { return panel{At: at, Stride: stride} }
