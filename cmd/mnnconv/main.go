// Command mnnconv converts, inspects, cuts and runs ONNX graphs over devices
// whose memories are apart. It is a shell around the module's packages: one file
// a subcommand, the backends and models in wire.go, the exit codes in exit.go.
package main

import (
	"os"
	goruntime "runtime"
)

// headroom is in bytes. The collector lets a program make as much again as it holds
// before it runs: at the start of one that is nearly nothing, and it would run half a
// dozen times while a model is loaded, of which all stays.
const headroom = 32 << 20

func main() {
	limitProcessors()
	held := make([]byte, headroom) // never written to, so that no memory is behind it
	code := run(os.Args[1:], os.Stdin, os.Stdout, os.Stderr)
	goruntime.KeepAlive(held)
	os.Exit(code)
}
