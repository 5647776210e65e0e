// Command example runs an ONNX model with onnx-go on this module's runtime:
//
//	example MODEL.onnx [INPUT.npy]*
//
// It prints the outputs.
package main

import (
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/owulveryck/onnx-go"
	"gorgonia.org/tensor"

	"mnnconv/schemas/onnxgo"
)

func main() {
	if err := run(os.Args[1:], os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "example:", err)
		os.Exit(1)
	}
}

func run(args []string, out io.Writer) (err error) {
	if len(args) == 0 {
		return errors.New("usage: example MODEL.onnx [INPUT.npy]*")
	}
	data, err := os.ReadFile(args[0])
	if err != nil {
		return err
	}
	backend := onnxgo.NewGraph(onnxgo.Options{})
	defer func() {
		if closed := backend.Close(); err == nil {
			err = closed
		}
	}()
	model := onnx.NewModel(backend)
	if err := model.UnmarshalBinary(data); err != nil {
		return fmt.Errorf("%s: %w", args[0], err)
	}
	for i, file := range args[1:] {
		t, err := read(file)
		if err == nil {
			err = model.SetInput(i, t)
		}
		if err != nil {
			return fmt.Errorf("%s: %w", file, err)
		}
	}
	if err := backend.Run(); err != nil {
		return fmt.Errorf("%s: %w", args[0], err)
	}
	outputs, err := model.GetOutputTensors()
	if err != nil {
		return err
	}
	for i, t := range outputs {
		fmt.Fprintf(out, "output %d: %v\n%v\n", i, t.Shape(), t)
	}
	return nil
}

func read(file string) (tensor.Tensor, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	t := &tensor.Dense{}
	return t, t.ReadNpy(f)
}
