package main

import (
	"bytes"
	"errors"
	"image"
	"image/png"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
	"google.golang.org/protobuf/encoding/protowire"

	"mnnconv/graph"
	"mnnconv/schemas/npy"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"mnnconv": main})
}

// bundled is the folder of the model that the program brings along.
const bundled = "../../models/tinyvl"

// TestScripts runs testdata/script. SRC is the bundled model's folder; the
// fixtures below lie in the working folder; exits and npy are commands of their
// own.
func TestScripts(t *testing.T) {
	src, err := filepath.Abs("../../models/tinyvl")
	if err != nil {
		t.Fatal(err)
	}
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata/script",
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		Setup: func(e *testscript.Env) error {
			e.Setenv("SRC", src)
			return fixtures(e.WorkDir, src)
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"exits": exitsWith,
			"npy":   npyType,
		},
	})
}

// exitsWith is "exits CODE COMMAND...": the command must end with that code, and say
// something on stderr if it is not 0, each line as the program's.
func exitsWith(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exits CODE COMMAND...")
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	got := 0
	var exit *exec.ExitError
	if err := ts.Exec(args[1], args[2:]...); errors.As(err, &exit) {
		got = exit.ExitCode()
	} else {
		ts.Check(err)
	}
	if got != want {
		ts.Fatalf("exit code %d, want %d", got, want)
	}
	said := ts.ReadFile("stderr")
	if want != 0 && said == "" {
		ts.Fatalf("nothing on stderr")
	}
	for line := range bytes.Lines([]byte(said)) {
		if want != 0 && !bytes.HasPrefix(line, []byte("mnnconv: ")) {
			ts.Fatalf("a line on stderr is not the program's: %s", line)
		}
	}
}

// npyType is "npy FILE TYPE": the file must hold an array of that type.
func npyType(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: npy FILE TYPE")
	}
	t, err := npy.Read(ts.MkAbs(args[0]))
	ts.Check(err)
	if got := t.Type().String(); got != args[1] {
		ts.Fatalf("%s holds %s, want %s", args[0], got, args[1])
	}
}

// fixtures writes what a text archive cannot hold.
func fixtures(dir, src string) error {
	node := func(op, out string, ins ...string) []byte {
		var b []byte
		for _, in := range ins {
			b = field(b, 1, []byte(in))
		}
		b = field(b, 2, []byte(out))
		b = field(b, 3, []byte("node "+out))
		return field(b, 4, []byte(op))
	}
	sum := model(nil, node("Add", "sum/of", "x", "y"))
	picture, err := os.ReadFile(filepath.Join(src, "demo", "describe.png"))
	if err != nil {
		return err
	}
	var wide bytes.Buffer
	if err := png.Encode(&wide, image.NewGray(image.Rect(0, 0, 2000, 2))); err != nil {
		return err
	}
	graph8, err := os.ReadFile(filepath.Join(src, "onnx", "embed_tokens_fp16.onnx"))
	if err != nil {
		return err
	}
	arrays := map[string]*graph.Tensor{
		"x.npy":     graph.Floats([]float32{1, 2, 3}, 3),
		"y.npy":     graph.Floats([]float32{10, 20, 30}, 3),
		"huge.npy":  graph.Floats([]float32{1, 3e38, 3}, 3),
		"nan.npy":   graph.Floats([]float32{1, 2, float32(math.NaN())}, 3),
		"ints.npy":  graph.Ints([]int64{1, 2, 3}, 3),
		"ranks.npy": graph.Floats([]float32{1, 2, 3}, 1, 3),
	}
	for name, t := range arrays {
		if err := npy.Write(nil, filepath.Join(dir, name), t); err != nil {
			return err
		}
	}
	for name, data := range map[string][]byte{
		"sum.onnx":       sum,
		"twice.onnx":     modelOf(nil, [][]byte{node("Add", "sum/of", "x", "y")}, "sum/of", "sum/of"),
		"cyclic.onnx":    model(nil, node("Add", "a", "x", "b"), node("Add", "b", "a", "y"), node("Add", "sum/of", "a", "b")),
		"unknown.onnx":   model(nil, node("NoSuchOperator", "sum/of", "x", "y")),
		"surplus.onnx":   model(nil, node("Neg", "sum/of", "x", "y")),
		"zero.onnx":      model(nil, node("NonZero", "n", "x"), node("Squeeze", "s", "n"), node("Div", "d", "s", "s"), node("Gather", "sum/of", "x", "d")),
		"data.onnx":      model(stored("w", "w.bin"), node("Mul", "z", "x", "w"), node("Add", "sum/of", "z", "y")),
		"outside.onnx":   model(stored("w", "../w.bin"), node("Mul", "z", "x", "w"), node("Add", "sum/of", "z", "y")),
		"w.bin":          arrays["x.npy"].Data,
		"empty.onnx":     nil,
		"truncated.onnx": graph8[:len(graph8)/2],
		"text.onnx":      []byte("this is no model\n"),
		"model.gguf":     []byte("GGUF\x03\x00\x00\x00"),
		"picture.png":    picture,
		"broken.png":     picture[:len(picture)/2],
		"wide.png":       wide.Bytes(),
	} {
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o644); err != nil {
			return err
		}
	}
	return nil
}

// stored is an initializer, float32 [3], in a data file.
func stored(name, file string) []byte {
	t := protowire.AppendVarint(protowire.AppendTag(nil, 1, protowire.VarintType), 3)
	t = protowire.AppendVarint(protowire.AppendTag(t, 2, protowire.VarintType), 1)
	t = field(t, 8, []byte(name))
	t = field(t, 13, field(field(nil, 1, []byte("location")), 2, []byte(file)))
	return protowire.AppendVarint(protowire.AppendTag(t, 14, protowire.VarintType), 1)
}

// model is an ONNX file of opset 17 from x and y, float32 [n], to sum/of, with one
// initializer or nil.
func model(weight []byte, nodes ...[]byte) []byte { return modelOf(weight, nodes, "sum/of") }

// modelOf is such a file with outputs of those names.
func modelOf(weight []byte, nodes [][]byte, outputs ...string) []byte {
	value := func(name string) []byte {
		extent := field(nil, 2, []byte("n"))
		tensor := protowire.AppendVarint(protowire.AppendTag(nil, 1, protowire.VarintType), 1)
		tensor = field(tensor, 2, field(nil, 1, extent))
		return field(field(nil, 1, []byte(name)), 2, field(nil, 1, tensor))
	}
	var g []byte
	for _, n := range nodes {
		g = field(g, 1, n)
	}
	g = field(g, 2, []byte("graph"))
	if weight != nil {
		g = field(g, 5, weight)
	}
	g = field(field(g, 11, value("x")), 11, value("y"))
	for _, name := range outputs {
		g = field(g, 12, value(name))
	}
	m := protowire.AppendVarint(protowire.AppendTag(nil, 1, protowire.VarintType), 8)
	m = field(m, 7, g)
	return field(m, 8, protowire.AppendVarint(protowire.AppendTag(nil, 2, protowire.VarintType), 17))
}

func field(b []byte, num protowire.Number, data []byte) []byte {
	return protowire.AppendBytes(protowire.AppendTag(b, num, protowire.BytesType), data)
}
