package quantize

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	goruntime "runtime"
	"slices"
	"strings"
	"testing"

	"mnnconv/graph"
	"mnnconv/passes"
	"mnnconv/runtime/host"
	"mnnconv/schemas/op"
)

func noise(r *rand.Rand, n int) []float32 {
	out := make([]float32, n)
	for i := range out {
		out[i] = float32(r.NormFloat64()) * 0.05
	}
	return out
}

// product is a graph of one product of x [tokens, k] by a weight, written as
// exporters do.
func product(how string, k, n int, w []float32) (*graph.Graph, *graph.Node) {
	g := graph.New("g")
	x := g.NewInput("x", graph.TensorOf(graph.Float32, graph.Sym("tokens"), graph.Const(int64(k))))
	stored := func(rows, cols int) *graph.Value {
		v := make([]float32, len(w)) // w is [n, k]
		for r := range n {
			for c := range k {
				if rows == n {
					v[r*k+c] = w[r*k+c]
				} else {
					v[c*n+r] = w[r*k+c]
				}
			}
		}
		return g.NewConst("w", graph.Floats(v, int64(rows), int64(cols)))
	}
	add := func(opname string, ins ...*graph.Value) *graph.Node {
		m := g.NewNode("", opname, 24, ins, fmt.Sprintf("out%d", len(g.Nodes)))
		m.Path = "llm.layers.0.mlp.up"
		g.Append(m)
		return m
	}
	var node *graph.Node
	switch how {
	case "MatMul":
		node = add("MatMul", x, stored(k, n))
	case "MatMul of Transpose":
		node = add("MatMul", x, add("Transpose", stored(n, k)).Outputs[0])
	case "FusedMatMul":
		node = add("FusedMatMul", x, stored(n, k))
		node.Domain, node.Version = op.Microsoft, 1
		node.SetAttr("transB", 1)
	case "Gemm":
		bias := make([]float32, n)
		for i := range bias {
			bias[i] = float32(i)
		}
		node = add("Gemm", x, stored(n, k), g.NewConst("bias", graph.Floats(bias)))
		node.SetAttr("transB", 1)
	}
	g.Outputs = []*graph.Value{node.Outputs[0]}
	typed(g)
	return g, node
}

func typed(g *graph.Graph) {
	if _, err := passes.Infer(g, op.All()); err != nil {
		panic(err)
	}
}

func options(t testing.TB, spec string) Options {
	t.Helper()
	s, err := ParseSpec(spec)
	if err != nil {
		t.Fatal(err)
	}
	return Options{Spec: s, Table: op.All(), Loops: host.NewCoding(), Workers: 2}
}

// materialise computes what is to be computed later.
func materialise(t testing.TB, r *Result) {
	t.Helper()
	for _, w := range r.Weights {
		if w.Data != nil {
			continue
		}
		var b bytes.Buffer
		if err := w.Later.Write(&b); err != nil {
			t.Fatal(err)
		}
		if int64(b.Len()) != w.Later.Size {
			t.Fatalf("%d bytes were written, %d said", b.Len(), w.Later.Size)
		}
		w.Data = b.Bytes()
	}
	r.Finish()
}

// evaluate runs a graph by its operators' references.
func evaluate(t testing.TB, g *graph.Graph, x *graph.Tensor) []float32 {
	t.Helper()
	values := map[*graph.Value]*graph.Tensor{g.Inputs[0]: x}
	for _, n := range g.Nodes {
		ins := make([]*graph.Tensor, len(n.Inputs))
		for i, v := range n.Inputs {
			if v == nil {
				continue
			}
			if ins[i] = values[v]; v.Const != nil {
				ins[i] = v.Const
			}
		}
		outs, err := op.All().Eval(context.Background(), n, ins, nil)
		if err != nil {
			t.Fatalf("%s: %v", n.ID(), err)
		}
		for i, v := range n.Outputs {
			values[v] = outs[i]
		}
	}
	out, err := values[g.Outputs[0]].Float32s()
	if err != nil {
		t.Fatal(err)
	}
	return slices.Clone(out)
}

// distance is the root mean square difference over that of want.
func distance(got, want []float32) float64 {
	var d, w float64
	for i := range want {
		d += math.Pow(float64(got[i]-want[i]), 2)
		w += math.Pow(float64(want[i]), 2)
	}
	return math.Sqrt(d / w)
}

// TestProducts quantises each form of a product, whole blocks and short ones, and
// compares what comes out.
func TestProducts(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	for _, how := range []string{"MatMul", "MatMul of Transpose", "FusedMatMul", "Gemm"} {
		for _, k := range []int{16, 20, 172, 256} {
			for spec, most := range map[string]float64{
				"int4": 0.12, "int4:16": 0.11, "int4:32:asym": 0.11, "int4:refine": 0.11, "int4:32:asym:refine": 0.1, "int8": 0.008, "int8:64:asym": 0.008, "fp16": 0.0005, "bf16": 0.004,
			} {
				t.Run(fmt.Sprintf("%s,k=%d,%s", how, k, spec), func(t *testing.T) {
					const n, tokens = 37, 5
					w, x := noise(r, n*k), graph.Floats(noise(r, tokens*k), tokens, int64(k))
					g, _ := product(how, k, n, w)
					want := evaluate(t, g, x)
					res, err := Run(t.Context(), []Phase{{"p", g}}, options(t, "llm="+spec))
					if err != nil {
						t.Fatal(err)
					}
					materialise(t, res)
					got := evaluate(t, g, x)
					if how == "Gemm" { // the bias is not quantised
						for i := range got {
							got[i] -= float32(i % n)
							want[i] -= float32(i % n)
						}
					}
					if len(res.Report.Layers) != 1 {
						t.Fatalf("report %+v", res.Report)
					}
					d, said := distance(got, want), res.Report.Layers[0].Error
					if d > 1.5*most || said > most || said == 0 || d > 3*said || said > 3*d {
						t.Errorf("outputs differ by %.4f, the report says %.4f, want up to %.4f", d, said, most)
					}
				})
			}
		}
	}
}

// TestLookup quantises a table of embeddings and the head that is tied to it: one
// copy of the codes serves both.
func TestLookup(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	const vocabulary, width = 50, 64
	w := noise(r, vocabulary*width)
	for spec, most := range map[string]float64{"int4:32": 0.12, "int8:asym": 0.008, "fp16": 0.0005} {
		g := graph.New("g")
		ids := g.NewInput("ids", graph.TensorOf(graph.Int64, graph.Sym("tokens")))
		look := g.NewNode("", "Gather", 24, []*graph.Value{g.NewConst("table", graph.Floats(w, vocabulary, width)), ids}, "rows")
		look.Path = "embed.tokens"
		turned := make([]float32, len(w))
		for i := range vocabulary {
			for j := range width {
				turned[j*vocabulary+i] = w[i*width+j]
			}
		}
		head := g.NewNode("", "MatMul", 24, []*graph.Value{look.Outputs[0], g.NewConst("head", graph.Floats(turned, width, vocabulary))}, "logits")
		head.Path = "head.matmul"
		g.Append(look, head)
		g.Outputs = []*graph.Value{head.Outputs[0]}
		typed(g)
		x := graph.Ints([]int64{3, 49, 0})
		want := evaluate(t, g, x)
		res, err := Run(t.Context(), []Phase{{"p", g}}, options(t, spec))
		if err != nil {
			t.Fatal(err)
		}
		materialise(t, res)
		for _, n := range g.Nodes { // the head's tensors lie over the table's data
			n.Reads(func(v *graph.Value) {
				if v.Const != nil && v.Const.Data == nil {
					for _, made := range res.Weights {
						if made.Later == v.Const.Later {
							v.Const.Data = made.Data
						}
					}
				}
			})
		}
		if d := distance(evaluate(t, g, x), want); d > 2*most {
			t.Errorf("%s: logits differ by %.4f, want up to %.4f", spec, d, 2*most)
		}
		if spec != "fp16" && res.Report.Layers[1].SharedWith != "embed.tokens" {
			t.Errorf("%s: the tied head is %+v", spec, res.Report.Layers[1])
		}
	}
}

// TestTie finds no twins where single numbers differ, wherever they are, and ends
// when it is told to.
func TestTie(t *testing.T) {
	const rows, cols = 96, 64
	w := noise(rand.New(rand.NewPCG(7, 8)), rows*cols)
	of := func(transposed bool, change int) *site {
		v := make([]float32, len(w))
		for i, x := range w {
			if i == change {
				x++
			}
			if transposed {
				i = i%cols*rows + i/cols
			}
			v[i] = x
		}
		shape := []int64{rows, cols}
		if transposed {
			slices.Reverse(shape)
		}
		return &site{m: newMatrix(graph.Floats(v, shape...), transposed), format: Format{Kind: Int4, Block: 32}}
	}
	loops := host.NewCoding()
	for _, transposed := range []bool{false, true} {
		for change := -1; change < len(w); change += 61 {
			all := []*site{of(false, -1), of(transposed, change)}
			if err := tie(t.Context(), all, loops); err != nil || (all[1].twin == all[0]) != (change < 0) {
				t.Errorf("number %d changed, transposed %v: twins %v, %v", change, transposed, all[1].twin != nil, err)
			}
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := tie(ctx, []*site{of(false, -1), of(true, -1)}, loops); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
}

// TestRefine finds, for any block, a grid that is no worse than round's.
func TestRefine(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 8))
	better := 0
	for i := range 4000 {
		w, weight := noise(r, 1+r.IntN(64)), []float32(nil)
		switch i % 4 {
		case 1:
			w[r.IntN(len(w))] = 3
		case 2:
			clear(w)
		}
		if i%3 == 0 {
			weight = make([]float32, len(w))
			for j := range weight {
				weight[j] = r.Float32()
			}
		}
		f := Format{Kind: []Kind{Int4, Int8}[i%2], Asym: i%5 < 2}
		c := newCoding(f)
		plain, fine, try := make([]uint8, len(w)), make([]uint8, len(w)), make([]uint8, len(w))
		g := c.round(w)
		c.codes(plain, w, g)
		was, _ := loss(plain, w, weight, g)
		g = c.refine(fine, w, weight, try)
		is, _ := loss(fine, w, weight, g)
		if is > was*(1+1e-5) {
			t.Fatalf("block %d, %+v: %g, rounding has %g", i, f, is, was)
		}
		if is < was {
			better++
		}
	}
	if better < 1500 {
		t.Errorf("%d of 4000 blocks are better than rounded", better)
	}
}

// TestGPTQ is better than rounding on inputs like those that it saw, whose numbers
// go together.
func TestGPTQ(t *testing.T) {
	r := rand.New(rand.NewPCG(9, 10))
	const k, n, rank = 100, 24, 12
	basis := noise(r, rank*k)
	inputs := func(tokens int) []float32 {
		x := noise(r, tokens*k)
		for i := range tokens {
			for b := range rank {
				a := float32(r.NormFloat64()) * 5
				for j := range k {
					x[i*k+j] = x[i*k+j]*0.2 + a*basis[b*k+j]
				}
			}
		}
		return x
	}
	w, x := noise(r, n*k), graph.Floats(inputs(50), 50, k)
	differ := map[string]float64{}
	for _, spec := range []string{"int4:round", "int4:gptq", "int4:asym:gptq"} {
		g, _ := product("MatMul", k, n, w)
		want := evaluate(t, g, x)
		o := options(t, spec)
		o.Calibrate = func(in []Input, add func(int, []float32) error) error {
			if !slices.Equal(in, []Input{{"p", "x"}}) {
				t.Errorf("inputs %v are asked for", in)
			}
			return errors.Join(add(0, inputs(100)), add(0, inputs(200)))
		}
		res, err := Run(t.Context(), []Phase{{"p", g}}, o)
		if err != nil {
			t.Fatal(err)
		}
		materialise(t, res)
		differ[spec] = distance(evaluate(t, g, x), want)
	}
	if differ["int4:gptq"] > 0.6*differ["int4:round"] || differ["int4:asym:gptq"] > 0.6*differ["int4:round"] {
		t.Errorf("outputs differ by %v", differ)
	}
}

// TestFactor checks that U of prepare has (sums + damping)⁻¹ = Uᵀ·U.
func TestFactor(t *testing.T) {
	r := rand.New(rand.NewPCG(11, 12))
	for _, n := range []int{1, 2, 7, 150} {
		s := &statistics{size: n, users: 1}
		s.add(noise(r, 3*n*n))
		h := slices.Clone(s.sums)
		if err := s.prepare(); err != nil {
			t.Fatal(err)
		}
		mean := 0.0
		for i := range n {
			mean += float64(h[i*n+i]) / float64(n)
		}
		for i := range n { // U·(h + damping)·Uᵀ is 1
			for j := range n {
				sum := 0.0
				for a := i; a < n; a++ {
					for b := j; b < n; b++ {
						x := float64(h[min(a, b)*n+max(a, b)])
						if a == b {
							x += damping * mean
						}
						sum += float64(s.factor[i*n+a]) * x * float64(s.factor[j*n+b])
					}
				}
				want := 0.0
				if i == j {
					want = 1
				}
				if math.Abs(sum-want) > 1e-3 {
					t.Fatalf("n=%d: (%d, %d) is %v, want %v", n, i, j, sum, want)
				}
			}
			if n > 100 && i > 3 {
				break
			}
		}
	}
}

// TestValues refuses what no codes stand for, and names it.
func TestValues(t *testing.T) {
	nan, inf := float32(math.NaN()), float32(math.Inf(1))
	for _, c := range []struct {
		bad        float32
		spec, want string
	}{
		{nan, "int4", "number 9 of row 1 is NaN"}, {inf, "int8:asym", "is +Inf"}, {1e30, "int4", "too large for scales of float16"},
		{nan, "int4:refine", "is NaN"}, {nan, "bf16", "is NaN"}, {1e6, "fp16", "is 1e+06"},
		{0, "int4", ""}, {0, "int8:asym:refine", ""}, {1e-30, "int4", ""},
	} {
		w := make([]float32, 2*40)
		w[40+9] = c.bad
		g, _ := product("Gemm", 40, 2, w)
		res, err := Run(t.Context(), []Phase{{"p", g}}, options(t, c.spec))
		if err != nil {
			t.Fatal(err)
		}
		for _, l := range res.Weights {
			err = errors.Join(err, l.Later.Write(io.Discard))
		}
		if c.want == "" {
			if err != nil {
				t.Errorf("%v as %s: %v", c.bad, c.spec, err)
			}
			continue
		}
		if !errors.Is(err, ErrValues) || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), `llm.layers.0.mlp.up: weight "w"`) {
			t.Errorf("%v as %s: %v, want %q", c.bad, c.spec, err, c.want)
		}
	}
}

// TestWorkers: the number of goroutines does not show in the bytes.
func TestWorkers(t *testing.T) {
	r := rand.New(rand.NewPCG(13, 14))
	w := noise(r, 300*50)
	var first []byte
	for _, workers := range []int{1, 2, 5} {
		g, _ := product("MatMul", 50, 300, w)
		o := options(t, "int4:asym:refine")
		o.Workers = workers
		res, err := Run(t.Context(), []Phase{{"p", g}}, o)
		if err != nil {
			t.Fatal(err)
		}
		materialise(t, res)
		all := slices.Concat(res.Weights[0].Data, res.Weights[1].Data, res.Weights[2].Data, fmt.Appendf(nil, "%v", res.Report.Error))
		if first == nil {
			first = all
		}
		if !bytes.Equal(all, first) {
			t.Errorf("%d workers make other bytes than one", workers)
		}
	}
}

// TestMemory: what is allocated at a time does not grow with the matrix but for its
// scales.
func TestMemory(t *testing.T) {
	const cols = 4096
	allocated := func(rows int) uint64 {
		m := graph.FromSlice(graph.Float16, make([]uint16, rows*cols), int64(rows), cols)
		j := &job{layer: &Layer{}, m: newMatrix(m, false), coding: newCoding(Format{Kind: Int4}), method: Round, block: 32, padded: true, loops: host.NewCoding(), workers: 2}
		made := j.tensors()
		codes, scales := made.codes, made.scales
		var before, after goruntime.MemStats
		goruntime.ReadMemStats(&before)
		if err := errors.Join(codes.Write(io.Discard), scales.Write(io.Discard)); err != nil {
			t.Fatal(err)
		}
		goruntime.ReadMemStats(&after)
		return after.TotalAlloc - before.TotalAlloc - uint64(scales.Size)
	}
	small, large := allocated(4096), allocated(16384) // 8 and 32 MB of codes
	if small > 12<<20 || large > 16<<20 {
		t.Errorf("%d bytes are allocated for 16 M weights, %d for 64 M", small, large)
	}
}

// TestBudget gives more bits to what suffers most, and keeps within the bytes.
func TestBudget(t *testing.T) {
	r := rand.New(rand.NewPCG(15, 16))
	two := func() ([]Phase, *graph.Graph) {
		calm, wild := noise(r, 64*64), noise(r, 64*64)
		for i := range wild {
			if i%16 == 0 {
				wild[i] *= 40 // one large number a block, which coarsens the rest
			}
		}
		g, a := product("Gemm", 64, 64, calm)
		a.Path = "llm.calm"
		h, b := product("Gemm", 64, 64, wild)
		b.Path = "llm.wild"
		return []Phase{{"a", g}, {"b", h}}, g
	}
	size := func(s string) (n int64, err error) { _, err = fmt.Sscan(s, &n); return n, err }
	const least = 2 * (64*64/2 + 64*2*2 + 64*4) // codes, scales, biases
	for _, c := range []struct{ budget, calm, wild string }{
		{"error=0.3", "int4:32:round", "int4:32:round"}, {"error=0.09", "int4:32:round", "int8:32:round"}, {"error=0.02", "int8:32:round", "int8:32:round"}, {"error=0.001", "fp16", "fp16"},
		{fmt.Sprintf("size=%d", least), "int4:32:round", "int4:32:round"},
		{fmt.Sprintf("size=%d", least+64*64/2), "int4:32:round", "int8:32:round"},
		{fmt.Sprintf("size=%d", least+64*64), "int8:32:round", "int8:32:round"},
		{"size=1000000", "fp16", "fp16"},
	} {
		b, err := ParseBudget(c.budget, size)
		if err != nil {
			t.Fatal(err)
		}
		phases, _ := two()
		o := options(t, "int4")
		o.Budget = b
		res, err := Run(t.Context(), phases, o)
		if err != nil {
			t.Fatal(err)
		}
		res.Finish()
		l := res.Report.Layers
		if l[0].To != c.calm || l[1].To != c.wild || b.Size > 0 && res.Report.Bytes > b.Size {
			t.Errorf("%s: calm is %s, wild is %s, %d bytes; want %s and %s", c.budget, l[0].To, l[1].To, res.Report.Bytes, c.calm, c.wild)
		}
	}
	phases, _ := two()
	o := options(t, "int4")
	o.Budget = &Budget{Text: "size=100", Size: 100}
	if _, err := Run(t.Context(), phases, o); !errors.Is(err, ErrBudget) {
		t.Errorf("a budget of 100 bytes: %v", err)
	}
}

func TestSpec(t *testing.T) {
	for text, want := range map[string]string{
		"int4": "int4:32", "float16": "fp16", "int8:128:asym:refine": "int8:128:asym:refine", "int4:gptq": "int4:32:gptq", "int4:sym:64": "int4:64",
		"llm.layers.0-3=int8,llm=int4": "int8:32", "llm.layers.1-3=int8,llm=int4": "int4:32", "/up$/=bf16,int4": "bf16", "vision=int8,llm=keep": "keep",
	} {
		s, err := ParseSpec(text)
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		f, ok := s.formatOf(&graph.Node{Path: "llm.layers.0.mlp.up"})
		if !ok || f.String() != want {
			t.Errorf("%s gives %v (%v), want %s", text, f, ok, want)
		}
	}
	for _, text := range []string{"", "int5", "int4:33", "int4:32:64", "int4:fast", "fp16:32", "=int4", "llm=", "/(/=int4", "/x=int4", "int4:round:refine", "int4:asym:sym", "int4:asym:asym", "int4:scales8:scales16", "int4,"} {
		if _, err := ParseSpec(text); !errors.Is(err, ErrSpec) {
			t.Errorf("%q: %v", text, err)
		}
	}
	for text, want := range map[string]string{
		"int4:32:64": "block size twice, 32 and 64", "int4:asym:sym": "zero points twice, asym and sym",
		"int4:scales8:scales16": "scales twice, scales8 and scales16", "int4:round:refine": "method twice, round and refine",
	} {
		if _, err := ParseSpec(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %s", text, err, want)
		}
	}
	for text, want := range map[string]bool{"int4": true, "int8:gptq": true, "llm=int4,int8:round": true, "int4:round": false, "llm=int4:refine,fp16": false, "keep": false} {
		s, err := ParseSpec(text)
		if err != nil || s.Calibrates() != want {
			t.Errorf("%q: %v, takes calibration data %v, want %v", text, err, !want, want)
		}
	}
	g, _ := product("MatMul", 32, 4, make([]float32, 128))
	if _, err := Run(t.Context(), []Phase{{"p", g}}, options(t, "lmm=int8,int4")); !errors.Is(err, ErrSpec) || !strings.Contains(err.Error(), "lmm=int8") {
		t.Errorf("a misspelled path: %v", err)
	}
}

// TestRoundIsByBlocks: what a row's loops make is what rounding makes of each block by
// itself, wherever the block lies.
func TestRoundIsByBlocks(t *testing.T) {
	r := rand.New(rand.NewPCG(21, 22))
	for range 300 {
		f := Format{Kind: []Kind{Int4, Int8}[r.IntN(2)], Asym: r.IntN(2) == 0, Block: 16 << r.IntN(5), Scales: 8 << r.IntN(2)}
		rows, cols, transposed := 1+r.IntN(300), 1+r.IntN(1200), r.IntN(2) == 0
		w := noise(r, rows*cols)
		w[r.IntN(len(w))] = 4
		from := []graph.DType{graph.Float32, graph.Float16, graph.BFloat16}[r.IntN(3)]
		m := graph.Floats(w, int64(rows), int64(cols))
		if from != graph.Float32 {
			narrow := make([]uint16, len(w))
			for i, x := range w {
				if narrow[i], w[i] = graph.F32ToBF16(x), graph.BF16ToF32(graph.F32ToBF16(x)); from == graph.Float16 {
					narrow[i], w[i] = graph.F32ToF16(x), graph.F16ToF32(graph.F32ToF16(x))
				}
			}
			m = graph.FromSlice(from, narrow, int64(rows), int64(cols))
		}
		j := &job{layer: &Layer{}, m: newMatrix(m, transposed), coding: newCoding(f), method: Round, block: f.Block, padded: true, loops: host.NewCoding(), workers: 2}
		var codes, scales, factors, zeros bytes.Buffer
		if err := errors.Join(j.run(&codes), j.rest(&scales, &j.scales), j.rest(&factors, &j.factors), j.rest(&zeros, &j.zeros)); err != nil {
			t.Fatal(err)
		}
		row := make([]float32, j.m.cols)
		want := &job{m: j.m, coding: j.coding, block: f.Block, padded: true, loops: j.loops, scales: make([]byte, scales.Len()), factors: make([]byte, factors.Len()), zeros: make([]byte, zeros.Len())}
		all := make([]byte, codes.Len())
		if !f.Asym {
			want.zeros = nil
		}
		for i := range j.m.rows {
			for c := range row {
				if transposed {
					row[c] = w[c*cols+i]
				} else {
					row[c] = w[i*cols+c]
				}
			}
			block := func(b int) []float32 { return row[b*f.Block : min(len(row), (b+1)*f.Block)] }
			coding := j.coding
			if f.Scales == 8 {
				largest := float32(0)
				for b := range j.blocks() {
					s := coding.reach(extremes(block(b)))
					largest = max(largest, s, -s)
				}
				coding.factor = largest / 127
				want.storeFactor(i, coding.factor)
			}
			for b := range j.blocks() {
				x := block(b)
				q := make([]uint8, len(x))
				g := coding.round(x)
				coding.codes(q, x, g)
				want.store(i, b, coding, g)
				want.pack(all[i*j.rowBytes()+b*f.Block*f.bits()/8:], q, g.zero)
			}
		}
		if !bytes.Equal(codes.Bytes(), all) || !bytes.Equal(scales.Bytes(), want.scales) || !bytes.Equal(factors.Bytes(), want.factors) || !bytes.Equal(zeros.Bytes(), want.zeros) {
			t.Fatalf("%d×%d %v, transposed %v, %s: other codes, scales or zero points than those of blocks by themselves", rows, cols, from, transposed, f)
		}
	}
}
