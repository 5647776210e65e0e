//go:build linux && !nogpu

// Folder prints where the stand-in's libraries lie, built if they were not yet.
package main

import (
	"fmt"
	"os"

	"mnnconv/runtime/cuda/standin"
)

func main() {
	dir, err := standin.Folder()
	if err != nil {
		fmt.Fprintln(os.Stderr, "folder:", err)
		os.Exit(1)
	}
	fmt.Println(dir)
}
