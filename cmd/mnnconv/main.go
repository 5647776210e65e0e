// Command mnnconv converts, inspects, cuts and runs ONNX graphs over devices
// whose memories are apart. It is a shell around the module's packages: one file
// a subcommand, the backends and models in wire.go, the exit codes in exit.go.
package main

import "os"

func main() { os.Exit(run(os.Args[1:], os.Stdin, os.Stdout, os.Stderr)) }
