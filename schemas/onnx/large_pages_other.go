//go:build unix && !linux

package onnx

// wantLargePages does nothing where one cannot ask for them.
func wantLargePages([]byte) {}
