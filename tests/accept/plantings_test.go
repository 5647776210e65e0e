package accept

import (
	"fmt"
	"go/ast"
	"go/build"
	"go/importer"
	"go/parser"
	"go/token"
	"go/types"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// planting is one fault in the source of a kernel or of a device: the program is
// built with it, and has to find it. Nothing else in the program knows of it.
type planting struct {
	name     string
	export   string // of the trained model
	place    string
	file     string // in the repository
	old, new string // old stands once in the file
	device   string // where it harms; empty: wherever the operator runs
	ops      []string
	path     string // of the only node that is wrong; empty: all nodes of ops on the device are
}

// on makes a condition of Go source: the value's space is the device.
func on(value, device string) string {
	return fmt.Sprintf(`string(%s.Type.Space) == %q`, value, device)
}

// changed is the file with the fault in it.
func (p planting) changed(t *testing.T, root string) string {
	t.Helper()
	source, err := os.ReadFile(filepath.Join(root, p.file))
	if err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(string(source), p.old); n != 1 {
		t.Fatalf("%s: %s has the place to change %d times: %s", p.name, p.file, n, p.old)
	}
	return strings.Replace(string(source), p.old, p.new, 1)
}

// TestPlantings: the places that faults are planted in are still in the kernels, and what
// is planted there compiles, so that who changes one changes both. TestAcceptPlanted
// builds and runs them.
func TestPlantings(t *testing.T) {
	const dir = "../../runtime/host"
	pkg, err := build.ImportDir(dir, 0)
	if err != nil {
		t.Fatal(err)
	}
	sources := token.NewFileSet()
	files := map[string]*ast.File{}
	for _, name := range pkg.GoFiles {
		path := filepath.Join(dir, name)
		if files[path], err = parser.ParseFile(sources, path, nil, parser.SkipObjectResolution); err != nil {
			t.Fatal(err)
		}
	}
	list := exec.Command("go", "list", "-export", "-deps", "-f", "{{.ImportPath}}\t{{.Export}}", ".")
	list.Dir = dir
	compiled, err := list.Output()
	if err != nil {
		t.Fatal(err)
	}
	exports := map[string]string{}
	for line := range strings.Lines(string(compiled)) {
		path, file, _ := strings.Cut(strings.TrimSpace(line), "\t")
		exports[path] = file
	}
	imports := importer.ForCompiler(sources, "gc", func(path string) (io.ReadCloser, error) { return os.Open(exports[path]) })
	for _, p := range plantings() {
		t.Run(p.name, func(t *testing.T) {
			path := filepath.Join("../..", p.file)
			planted := maps.Clone(files)
			if planted[path], err = parser.ParseFile(sources, path, p.changed(t, "../.."), parser.SkipObjectResolution); err != nil {
				t.Fatal(err)
			}
			if files[path] == nil {
				t.Fatalf("%s is not in %s", p.file, dir)
			}
			if _, err := (&types.Config{Importer: imports}).Check("mnnconv/runtime/host", sources, slices.Collect(maps.Values(planted)), nil); err != nil {
				t.Error(err)
			}
		})
	}
}

// plantings are faults as people make them: a factor, an index, a bound or a
// rounding, in one operator, on one device or wherever it runs.
func plantings() []planting {
	const (
		apart  = "vision=sim:0,llm=sim:1"
		vision = "vision=sim:0"
		middle = "llm.layers.1-2=sim:1"
		cutup  = "vision.blocks.0-1=sim:0,vision=sim:1,llm.layers.0-1=sim:2,llm=sim:3"
		whole  = "sim:0"

		fp32, fp16, q4, mnn, olive = "torch-dynamo-op23", "tjs-fp16", "tjs-q4f16", "mnn-tied", "olive-cpu-int4"
	)
	// of the node n, and of the first node of a product
	here := func(device string) string { return on("n.Outputs[0]", device) }
	at := func(path string) string { return `n.Path == "` + path + `"` }
	product := func(device, op string) string {
		return on("p.form.nodes[0].Outputs[0]", device) + ` && slices.ContainsFunc(p.form.nodes, func(n *graph.Node) bool { return n.Op == "` + op + `" })`
	}
	then := func(condition, what string) string { return "\nif " + condition + " {\n" + what + "\n}\n" }

	var all []planting
	add := func(file, name, export, place, device string, ops []string, old, new string, path ...string) {
		p := planting{name: name, export: export, place: place, device: device, ops: ops, file: "runtime/host/" + file + ".go", old: old, new: new}
		if len(path) > 0 {
			p.path = path[0]
		}
		all = append(all, p)
	}

	rms := []string{"RMSNormalization"}
	const eps = `epsilon := n.Float("epsilon", 1e-5)`
	add("rms_norm", "an epsilon of 1e-5 for 1e-6", fp32, apart, "sim:1", rms, eps, eps+then(here("sim:1"), "epsilon = 1e-5"))
	add("rms_norm", "an epsilon of 1e-3 in one block", fp32, vision, "sim:0", rms, eps, eps+then(here("sim:0")+" && "+at("vision.blocks.2.norm1"), "epsilon = 1e-3"), "vision.blocks.2.norm1")
	add("rms_norm", "an epsilon of 1e-2", fp16, apart, "sim:0", rms, eps, eps+then(here("sim:0"), "epsilon = 1e-2"))
	const rmsInputs = `*k = rmsNorm{x: c.In[0], scale: c.In[1], y: c.Out[0], epsilon: epsilon}`
	add("rms_norm", "the last scale is the first one", fp16, middle, "sim:1", rms, rmsInputs, rmsInputs+then(here("sim:1"),
		"s := *k.scale\ns.Data = append([]byte{}, s.Data...)\ncopy(s.Data[len(s.Data)-2:], s.Data[:2])\nk.scale = &s"))
	const inverse = `inv := 1 / float32(math.Sqrt(float64(vectors.SumSquares(x)/float32(k.width)+k.epsilon)))`
	add("rms_norm", "a reciprocal root of 12 bits", fp32, whole, "", rms, inverse, inverse+"\ninv = math.Float32frombits(math.Float32bits(inv) &^ 0xfff)\n")

	attention := []string{"Attention"}
	const attScale = `			k.scale = float32(1 / math.Sqrt(float64(k.size)))
		}`
	add("attention", "the root of a wrong size", fp16, apart, "sim:1", attention, attScale, attScale+then(here("sim:1"), "k.scale = float32(1 / math.Sqrt(float64(k.size+1)))"))
	add("attention", "no scale in one layer", fp32, middle, "sim:1", attention, attScale, attScale+then(here("sim:1")+" && "+at("llm.layers.2.attn"), "k.scale = 1"), "llm.layers.2.attn")
	add("attention", "a query sees its successor", q4, apart, "", attention, `row), row+1, k.keys`, `row), row+2, k.keys`)
	add("attention", "no causal edge", fp16, cutup, "sim:2", attention, `k.causal, k.scale = causal, factor`, `k.causal, k.scale = causal && !(`+here("sim:2")+`), factor`)
	add("attention", "a row of the cache too many", fp32, apart, "", attention, `s.most = int(k.lengths[b])`, `s.most = min(k.keys, int(k.lengths[b])+1)`)
	add("attention", "another head's keys", olive, apart, "", attention, `k: b*k.kBatch + head*k.kAt.head,`, `k: b*k.kBatch + (head+1)%k.kvHeads*k.kAt.head,`)
	add("attention", "another head's values", fp32, whole, "", attention, `v: b*k.vBatch + head*k.vAt.head,`, `v: b*k.vBatch + (head+1)%k.kvHeads*k.vAt.head,`)

	segmented := []string{"mnnconv.SegmentedAttention"}
	both := append(attention, segmented...)
	const scores = `vectors.Scale(scores, scores, a.scale)`
	add("attend", "scores of half precision", fp32, apart, "", both, scores, scores+"\nroundFloats(graph.Float16, scores)\n")
	add("attend", "earlier blocks keep their weight", fp32, vision, "", both, `*sum *= shrink`, `*sum *= 1`)
	add("attend", "weights that add up to less than 1", fp32, whole, "", both, `*sum += vectors.ExpShifted(scores, largest)`, `*sum += vectors.ExpShifted(scores, largest) * 1.0005`)
	add("segmented_attention", "windows end one token early", fp32, vision, "", segmented, `most: r.end - r.start,`, `most: max(1, r.end-r.start-1),`)
	add("segmented_attention", "windows begin one token early", fp16, vision, "", segmented, `start, end := intAt(cu, i), intAt(cu, i+1)`, `start, end := max(0, intAt(cu, i)-1), intAt(cu, i+1)`)
	const segRun = `return c.Run(k.units.parts(), k)`
	add("segmented_attention", "a temperature of 1.01 in one block", q4, vision, "sim:0", segmented, segRun, then(here("sim:0")+" && "+at("vision.blocks.1.attn"), "k.scale *= 1.01")+segRun, "vision.blocks.1.attn")
	add("segmented_attention", "another head's values in windows", mnn, cutup, "", segmented, `v:    r.start*k.vAt.row + head*k.vAt.head,`, `v:    r.start*k.vAt.row + (head+1)%k.kvHeads*k.vAt.head,`)

	rope := []string{"RotaryEmbedding"}
	add("rope", "cosines for sines", fp16, apart, "", rope, `vectors.TurnHalves(y, x, cos, sin)`, `vectors.TurnHalves(y, x, sin, cos)`)
	add("rope", "the angle of the row before", fp32, whole, "", rope, `angle := r
`, "angle := max(0, r-1)\n")
	const halves = `y: c.Out[0], interleaved: interleaved}`
	add("rope", "pairs for halves", q4, middle, "sim:1", rope, halves, `y: c.Out[0], interleaved: interleaved != (`+here("sim:1")+`)}`)
	add("rope", "pairs for halves in one layer", fp32, cutup, "sim:3", rope, halves, `y: c.Out[0], interleaved: interleaved != (`+here("sim:3")+" && "+at("llm.layers.2.attn.rope")+`)}`, "llm.layers.2.attn.rope")

	cache := []string{"TensorScatter"}
	add("tensor_scatter", "a stale slot of the cache", fp16, apart, "", cache, `start = int(at[b])`, `start = max(0, int(at[b])-1)`)
	add("tensor_scatter", "the last head is not written in a decode step", fp32, apart, "", cache, `for h := range outer {`, `for h := range outer - max(0, 2-rows) {`)
	const scattered = `update.Data[k*rows*row:(k+1)*rows*row])`
	add("tensor_scatter", "a prefill loses its last row", fp16, middle, "sim:1", cache, scattered, `update.Data[k*rows*row:(k+1)*rows*row-map[bool]int{true: row}[rows > 1 && `+here("sim:1")+`]])`)

	matmul, gemm, nbits := []string{"MatMul", "Add"}, []string{"Gemm", "Add"}, []string{"MatMulNBits", "Add"}
	const biased = `	if p.bias != nil {
		loadFloats(bias, p.bias.DType, p.bias.Data, t.col)`
	add("product", "sums of half precision", fp32, apart, "sim:1", matmul, biased, then(product("sim:1", "MatMul"), "roundFloats(graph.Float16, sums.At)")+biased)
	add("product", "no bias in the last column", fp16, apart, "sim:0", gemm, biased, biased+then(product("sim:0", "Gemm"), "bias[t.n-1] = 0"))
	const residual = `vectors.Add(y, s, floatsOf(p.residual, at, extra))`
	add("product", "a residual a little large", fp32, middle, "sim:1", matmul, residual, residual+then(product("sim:1", "MatMul"),
		"for j, r := range floatsOf(p.residual, at, extra) {\ny[j] += r * 0.001\n}"))
	add("product", "the last of k is left out", fp16, apart, "sim:1", matmul, `k := min(p.depth, p.k-k0)`, `k := min(p.depth, p.k-k0)`+then(product("sim:1", "MatMul")+" && k > 1 && k0+k == p.k", "k--"))
	add("product", "patches a little large", fp32, vision, "", []string{"Conv", "Add"}, `storeFloats(p.out.Data, p.out.DType, at, s)`, then(`p.form.nodes[0].Op == "Conv"`, "scale(s, 1.0005)")+`storeFloats(p.out.Data, p.out.DType, at, s)`)
	const middleZero = `	if b.zeros == nil {
		return w`
	add("matmul_nbits", "a zero point of 7", olive, apart, "", nbits, middleZero, then("b.zeros == nil",
		"w.Zeros = panelOf(buf[rows*n:][:rows*n], n)\nfor i := range w.Zeros.At {\nw.Zeros.At[i] = 7\n}\nreturn w")+middleZero)
	add("matmul_nbits", "scales a little large", q4, apart, "", nbits, middleZero,
		"w.Scales.At = append([]float32{}, w.Scales.At...)\nvectors.Scale(w.Scales.At, w.Scales.At, 1.004)\n"+middleZero)
	add("gather_block_quantized", "the high half first", olive, whole, "", []string{"GatherBlockQuantized", "com.microsoft.GatherBlockQuantized"}, `y[j] = (float32(data[j/2]>>(j%2*4)&15) - zero) * s`, `y[j] = (float32(data[j/2]>>((1-j%2)*4)&15) - zero) * s`)

	const alpha = `alpha := swish.Float("alpha", 1)`
	add("gated", "a steeper gate", fp32, apart, "sim:1", []string{"Swish", "Mul"}, alpha, alpha+then(on("swish.Outputs[0]", "sim:1"), "alpha *= 1.001"))
	add("unary", "the tanh form of Gelu", fp32, vision, "sim:0", []string{"Gelu"}, `return each(gelu)`, then(here("sim:0"), "return each(geluTanh), 4")+`return each(gelu)`)
	add("unary", "sines of a short series", fp32, apart, "sim:1", []string{"Sin"}, `return wide(math.Sin)`, then(here("sim:1"), "return each(func(x float32) float32 { return float32(math.Sin(float64(x))) * 0.9999 }), 32")+`return wide(math.Sin)`)
	add("elementwise", "angles a little large", fp32, apart, "sim:1", []string{"Mul"}, `g.Kernel = elementwiseOf(vectors.Mul)`, `g.Kernel = elementwiseOf(vectors.Mul)`+then(here("sim:1"),
		"g.Kernel = elementwiseOf(func(z, x, y []float32) { vectors.Mul(z, x, y); vectors.Scale(z, z, 1.0001) })"))
	add("gather", "the token before the last one's", fp16, apart, "", []string{"Gather"}, `copy(k.y.Data[s*k.run:][:k.run], k.x.Data[(s/k.picks*k.extent+j)*k.run:])`,
		then("k.extent > 300 && s == k.picks-1", "j = max(0, j-1)")+`copy(k.y.Data[s*k.run:][:k.run], k.x.Data[(s/k.picks*k.extent+j)*k.run:])`)
	add("scatter_nd", "the last image row is not put in", fp32, apart, "", []string{"ScatterND"}, `for i := 0; i*axes < len(indices); i++ {`, `for i := 0; (i+1)*axes < len(indices); i++ {`)
	return all
}
