package graph

import (
	"fmt"
	"unsafe"
)

// This file is the seam between bytes (mapped files, device-independent
// tensors) and typed slices. It is the package's only use of unsafe. Views of
// mapped weights may be unaligned: amd64 and arm64 load them as they are.

// View returns the elements of t as a slice of T over the same memory. T must
// be as wide as the dtype; a mismatch is a programming error and panics.
func View[T Number](t *Tensor) []T {
	var zero T
	if size := int(unsafe.Sizeof(zero)); t.DType.Bits() != size*8 {
		panic(fmt.Sprintf("graph: invariant: %s tensor viewed as %T", t.DType, zero))
	}
	return ViewBytes[T](t.Data)
}

// ViewBytes returns b as a slice of T over the same memory; trailing bytes that
// do not fill an element are left out.
func ViewBytes[T Number](b []byte) []T {
	var zero T
	n := len(b) / int(unsafe.Sizeof(zero))
	if n == 0 {
		return nil
	}
	return unsafe.Slice((*T)(unsafe.Pointer(unsafe.SliceData(b))), n)
}

func bytesOf[T Number](v []T) []byte {
	if len(v) == 0 {
		return nil
	}
	return unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(v))), len(v)*int(unsafe.Sizeof(v[0])))
}
