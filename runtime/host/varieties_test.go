package host

import (
	"math"
	"slices"

	"mnnconv/graph"
	"mnnconv/schemas/op"
)

// variety draws forms of one kernel: the graph, its inputs, and how far results may be
// from the reference's.
type variety struct {
	lowering string // the function that finds the kernel
	name     string
	form     func(m *trial)
	whole    bool // the kernel has no parts for several workers
}

// varieties has at least one for every lowering.
var varieties = []variety{
	{"lowerGated", "exact", func(m *trial) { m.gated(exact) }, false},
	{"lowerGated", "int8act", func(m *trial) { m.gated(int8act) }, false},
	{"lowerGated", "fast", func(m *trial) { m.gated(fast) }, false},
	{"lowerJoined", "exact", func(m *trial) { m.joined(exact) }, false},
	{"lowerJoined", "int8act", func(m *trial) { m.joined(int8act) }, false},
	{"lowerJoined", "fast", func(m *trial) { m.joined(fast) }, false},
	{"lowerProduct", "MatMul", (*trial).matmul, false},
	{"lowerProduct", "MatMul of few rows", (*trial).fewRows, false},
	{"lowerProduct", "Gemm", (*trial).gemm, false},
	{"lowerProduct", "Conv", (*trial).patches, false},
	{"lowerProduct", "MatMulNBits", func(m *trial) { m.nbitsForm(exact) }, false},
	{"lowerProduct", "MatMulNBits int8act", func(m *trial) { m.nbitsForm(int8act) }, false},
	{"lowerProduct", "MatMulNBits fast", func(m *trial) { m.nbitsForm(fast) }, false},
	{"lowerMatMulInteger", "", (*trial).integers, false},
	{"lowerView", "", (*trial).view, true},
	{"lowerScatterState", "", (*trial).scatterState, true},
	{"lowerRMSNorm", "", func(m *trial) { m.norm("RMSNormalization", 2) }, false},
	{"lowerLayerNorm", "", func(m *trial) { m.norm("LayerNormalization", 2+m.rand.IntN(2)) }, false},
	{"lowerAttention", "", (*trial).attention, false},
	{"lowerAttention", "of codes", (*trial).codesAttention, false},
	{"lowerQuantizeVectors", "", (*trial).quantizeVectors, false},
	{"lowerSegmentedAttention", "", (*trial).segmented, false},
	{"lowerSoftmax", "", (*trial).softmax, false},
	{"lowerSwishMul", "", (*trial).swishMul, false},
	{"lowerElementwise", "", (*trial).elementwise, false},
	{"lowerUnary", "", (*trial).unary, false},
	{"lowerCast", "", (*trial).cast, false},
	{"lowerRope", "", (*trial).rope, false},
	{"lowerTranspose", "", (*trial).transpose, false},
	{"lowerExpand", "", (*trial).expand, false},
	{"lowerSlice", "", (*trial).slice, false},
	{"lowerConcat", "", (*trial).concat, false},
	{"lowerSplit", "", (*trial).split, false},
	{"lowerSplit", "of a Transpose", (*trial).splitTurned, false},
	{"lowerGatherColumns", "", (*trial).gatherColumns, false},
	{"lowerGather", "", (*trial).gather, false},
	{"lowerGatherBlockQuantized", "", (*trial).gatherBlocks, false},
	{"lowerScatterND", "", (*trial).scatterND, true},
	{"lowerTopK", "", (*trial).topK, false},
}

// stored is how weights of a product are drawn.
type stored struct {
	bits, block int64 // 0: floats
	zeros       string
	turned      bool // n×k
	powers      bool // of two are the scales
	coded       bool // in 8 bits are the scales
	dtype       graph.DType
}

// quantised draws blocks that kernels quantise activations for, or round, or any.
func (m *trial) quantised(d graph.DType, mode arithmetic) stored {
	s := stored{bits: pick[int64](m, 4, 8), block: pick[int64](m, 16, 32, 32, 64, 128), zeros: pick(m, "", "packed", "float"), dtype: d}
	if mode != exact {
		s.block = max(s.block, 32)
	}
	s.coded = mode != fast && d != graph.BFloat16 && m.coin()
	if mode == fast { // numbers that bfloat16 holds
		s.zeros, s.powers = pick(m, "", "packed"), true
	}
	return s
}

// weights draws a product of x [.., k] with n columns of weights around 1/√k.
func (m *trial) weights(s stored, x *graph.Value, k, n int64) *graph.Value {
	by := 1 / math.Sqrt(float64(k+1))
	switch {
	case s.bits > 0:
		perRow := (k + s.block - 1) / s.block
		var scales *graph.Value
		size := by / float64(int(1)<<(s.bits-1))
		if s.coded {
			scales = m.codedScales("Mul", s.dtype, size, n, perRow)
		} else {
			t := m.scaled(s.dtype, size, n, perRow)
			if s.powers {
				m.powers(t)
			}
			scales = m.constant(t)
		}
		in := []*graph.Value{x, m.constant(m.bytes(n, perRow, s.block*s.bits/8)), scales}
		switch s.zeros {
		case "packed":
			in = append(in, m.constant(m.bytes(n, (perRow*s.bits+7)/8)))
		case "float":
			in = append(in, m.constant(m.numbers(s.dtype, n, perRow)))
		}
		return m.node(op.Microsoft, "MatMulNBits", []graph.Attr{flag("K", k), flag("N", n), flag("bits", s.bits), flag("block_size", s.block)}, in...).out
	case s.turned:
		return m.node(op.Microsoft, "FusedMatMul", []graph.Attr{flag("transB", 1)}, x, m.constant(m.scaled(s.dtype, by, n, k))).out
	}
	return m.node("", "MatMul", nil, x, m.constant(m.scaled(s.dtype, by, k, n))).out
}

// powers makes powers of two of numbers, so far apart that sums of products with them
// depend on their order.
func (m *trial) powers(t *graph.Tensor) {
	v, _ := t.Float32s()
	for i, x := range v {
		if f, e := math.Frexp(float64(x)); f != 0 {
			v[i] = float32(math.Copysign(math.Ldexp(1, e-m.rand.IntN(12)), f))
		}
	}
	_ = t.SetFloat32s(v)
}

// left draws the rows that weights multiply, and says how products are computed.
func (m *trial) left(s stored, mode arithmetic) (x *graph.Value, k int64) {
	k = m.some(50)
	rows := m.extent(20, 0)
	if m.large { // parts are cut otherwise from 17 rows on
		rows, k = pick[int64](m, 12, 64), 400+m.some(300)
	}
	if mode == fast && (m.large || m.rand.IntN(8) == 0) {
		rows = pick(m, roundedRows-1, roundedRows, roundedRows+m.some(40))
	}
	if s.bits > 0 {
		rows = max(1, rows)
	}
	t := m.numbers(s.dtype, 1, rows, k)
	if mode != exact {
		m.math, _ = ParseMath(string(mode))
		v, _ := t.Float32s()
		for r := range rows {
			asQuantised(v[r*k : (r+1)*k])
		}
		_ = t.SetFloat32s(v)
	}
	m.sums(s.dtype, 4*k)
	return m.input(t), k
}

// storage draws floats or blocks.
func (m *trial) storage(mode arithmetic) stored {
	d := m.float()
	if mode != exact || m.coin() {
		return m.quantised(d, mode)
	}
	return stored{dtype: d, turned: m.coin()}
}

func (m *trial) gated(mode arithmetic) {
	s := m.storage(mode)
	x, k := m.left(s, mode)
	n := 1 + m.extent(50, 200)
	one := func() *graph.Value {
		y := m.weights(s, x, k, n)
		if m.rand.IntN(3) == 0 {
			y = m.node("", "Add", nil, y, m.constant(m.numbers(s.dtype, n))).out
		}
		return y
	}
	g, u := one(), one()
	m.node("", "Swish", nil, g)
	ins := []*graph.Value{m.out, u}
	if m.coin() {
		slices.Reverse(ins)
	}
	m.node("", "Mul", nil, ins...)
	m.relative, m.absolute = 2*m.relative+1e-5, 4*m.absolute
}

func (m *trial) joined(mode arithmetic) {
	s := m.storage(mode)
	x, k := m.left(s, mode)
	var outs []*graph.Value
	for range 2 + m.rand.IntN(2) {
		n := 1 + m.extent(40, 150)
		w := s
		if w.bits > 0 {
			w.bits = pick[int64](m, 4, 8)
		}
		y := m.weights(w, x, k, n)
		if m.coin() {
			y = m.node("", "Add", nil, m.constant(m.numbers(s.dtype, n)), y).out
		}
		outs = append(outs, y)
	}
	m.g.Outputs = outs
}

// behind adds a bias and a residual, or one, or none.
func (m *trial) behind(d graph.DType) {
	shape, _ := m.out.Type.Shape.Ints()
	row, full := m.coin(), m.coin()
	add := func(v *graph.Value) {
		ins := []*graph.Value{m.out, v}
		if m.coin() {
			slices.Reverse(ins)
		}
		m.node("", "Add", nil, ins...)
	}
	if row {
		add(m.constant(m.numbers(d, shape[len(shape)-1])))
	}
	if full {
		add(m.input(m.numbers(d, shape...)))
	}
}

func (m *trial) matmul() {
	d := m.float()
	batch := []int64{}
	for range m.rand.IntN(3) {
		batch = append(batch, m.some(3))
	}
	k, n := m.some(70), 1+m.extent(70, 150)
	if m.large {
		k, batch = 200+m.some(100), nil
	}
	left := append(slices.Clone(batch), m.extent(30, 40), k)
	right := []int64{k, n}
	turned := m.coin()
	if turned {
		right = []int64{n, k}
	}
	if m.rand.IntN(3) == 0 && len(batch) > 0 { // a matrix for each, or for some
		right = append(slices.Clone(batch[m.rand.IntN(len(batch)):]), right...)
	}
	w := m.scaled(d, 1/math.Sqrt(float64(k)), right...)
	v := m.constant(w)
	if m.coin() {
		v = m.input(w)
	}
	domain, name, attrs := "", "MatMul", []graph.Attr(nil)
	if turned {
		domain, name, attrs = op.Microsoft, "FusedMatMul", []graph.Attr{flag("transB", 1), {Name: "alpha", Value: float32(m.rand.NormFloat64())}}
	}
	m.node(domain, name, attrs, m.input(m.numbers(d, left...)), v)
	m.sums(d, 4*k)
	m.behind(d)
}

// fewRows draws weights that few rows read whole, an eighth of them in pieces.
func (m *trial) fewRows() {
	d := m.float()
	rows, k, n := m.some(3), m.some(300), m.some(60)
	if m.large || m.rand.IntN(8) == 0 {
		k, n = pieceLeast/64+m.some(600), 128+m.some(60)
	}
	if m.rand.IntN(8) == 0 {
		rows, k, n = m.some(fewRows), n, k
	}
	m.node("", "MatMul", nil, m.input(m.numbers(d, rows, k)), m.constant(m.scaled(d, 1/math.Sqrt(float64(k)), k, n)))
	m.sums(d, 4*k)
	m.behind(d)
}

func (m *trial) gemm() {
	d := m.float()
	k, n := m.some(70), 1+m.extent(70, 150)
	if m.large {
		k = 200 + m.some(200)
	}
	turned := m.rand.Int64N(2)
	shape := []int64{k, n}
	if turned == 1 {
		shape = []int64{n, k}
	}
	ins := []*graph.Value{m.input(m.numbers(d, m.extent(30, 40), k)), m.constant(m.scaled(d, 1/math.Sqrt(float64(k)), shape...))}
	attrs := []graph.Attr{flag("transB", turned), {Name: "alpha", Value: float32(m.rand.NormFloat64())}, {Name: "beta", Value: float32(m.rand.NormFloat64())}}
	bias := m.coin()
	if bias {
		ins = append(ins, m.constant(m.numbers(d, pick(m, []int64{n}, []int64{1, n})...)))
	}
	m.node("", "Gemm", attrs, ins...)
	m.sums(d, 4*k)
	if !bias {
		m.behind(d)
	}
}

func (m *trial) patches() {
	d := m.float()
	place := []int64{m.some(4)}
	for range 1 + m.rand.IntN(3) {
		place = append(place, m.some(4))
	}
	if m.large {
		place = []int64{3, 8 + m.some(6), 14}
	}
	n := m.some(60)
	k, _ := graph.Elements(place)
	ins := []*graph.Value{m.input(m.numbers(d, append([]int64{m.extent(30, 90)}, place...)...)), m.constant(m.scaled(d, 1/math.Sqrt(float64(k)), append([]int64{n}, place...)...))}
	if m.coin() {
		ins = append(ins, m.constant(m.numbers(d, n)))
	}
	m.node("", "Conv", []graph.Attr{{Name: "strides", Value: place[1:]}, {Name: "kernel_shape", Value: place[1:]}}, ins...)
	m.sums(d, 4*k)
}

func (m *trial) nbitsForm(mode arithmetic) {
	s := m.quantised(m.float(), mode)
	x, k := m.left(s, mode)
	m.weights(s, x, k, 1+m.extent(60, 200))
	m.behind(s.dtype)
}

func (m *trial) integers() {
	types := []graph.DType{graph.Int8, graph.Uint8}
	da, db := pick(m, types...), pick(m, types...)
	rows, k, n := m.extent(40, 20), m.extent(50, 300), m.extent(70, 400)
	if m.rand.IntN(50) == 0 {
		rows, k, n = pick(m, rows, 0), pick(m, k, 0), pick(m, n, 0)
	}
	a, b := []int64{rows, k}, []int64{k, n}
	if m.coin() {
		a = append([]int64{2}, a...)
	}
	ins := []*graph.Value{m.input(filled(m.rand, da, a...)), m.constant(filled(m.rand, db, b...)), nil, nil}
	for i, d := range []graph.DType{da, db} {
		switch many := []int64{rows, n}[i]; m.rand.IntN(3) {
		case 0:
			ins[2+i] = m.constant(filled(m.rand, d))
		case 1:
			ins[2+i] = m.constant(filled(m.rand, d, many))
		}
	}
	for ins[len(ins)-1] == nil {
		ins = ins[:len(ins)-1]
	}
	m.node("", "MatMulInteger", nil, ins...)
}

func (m *trial) view() {
	x := m.input(filled(m.rand, pick(m, movedTypes...), m.shape()...))
	switch m.rand.IntN(4) {
	case 0:
		m.node("", "Reshape", nil, x, m.constant(ints(-1)))
		if m.in[0].Len() == 0 {
			m.g.Nodes[0].Inputs[1].Const = ints(0, 7)
			m.g.Nodes[0].SetAttr("allowzero", 1)
		}
	case 1:
		m.node("", "Unsqueeze", nil, x, m.constant(ints(m.rand.Int64N(int64(len(m.in[0].Shape))+1))))
	case 2:
		m.node("", "Flatten", []graph.Attr{flag("axis", m.rand.Int64N(int64(len(m.in[0].Shape))+1))}, x)
	case 3:
		m.node("", "Identity", nil, x)
	}
}

func (m *trial) scatterState() {
	d := pick(m, movedTypes...)
	shape := []int64{1 + m.extent(3, 3)}
	for range m.rand.IntN(3) {
		shape = append(shape, m.some(3))
	}
	capacity, size := m.extent(20, 300), m.extent(40, 40)
	rows := m.rand.Int64N(capacity + 1)
	past := m.input(filled(m.rand, d, append(slices.Clone(shape), capacity, size)...))
	ins := []*graph.Value{past, m.input(filled(m.rand, d, append(slices.Clone(shape), rows, size)...))}
	if m.coin() {
		at := make([]int64, shape[0])
		for i := range at {
			at[i] = m.rand.Int64N(capacity - rows + 1)
		}
		ins = append(ins, m.input(ints(at...)))
	}
	m.node("", "TensorScatter", nil, ins...)
	m.g.States = []graph.State{{In: past, Out: m.out}}
}

func (m *trial) norm(name string, inputs int) {
	d := m.float()
	shape := m.rows()
	width := shape[len(shape)-1]
	ins := []*graph.Value{m.input(m.numbers(d, shape...))}
	for range inputs - 1 {
		ins = append(ins, m.constant(m.numbers(d, width)))
	}
	m.node("", name, []graph.Attr{{Name: "epsilon", Value: pick[float32](m, 1e-6, 1e-5, 0.5)}}, ins...)
	m.within(d)
}

func (m *trial) attention() {
	d := m.float()
	batch, kv, group := m.some(2), m.some(3), m.some(4)
	rows, keys, size, width := m.extent(20, 40), m.extent(140, 200), m.some(32), m.some(32)
	if m.rand.IntN(20) == 0 {
		keys += 2 * spanKeys
	}
	q, x, v := m.numbers(d, batch, kv*group, rows, size), m.numbers(d, batch, kv, keys, size), m.numbers(d, batch, kv, keys, width)
	scale := float32(1 / math.Sqrt(float64(size)))
	attrs := []graph.Attr{flag("is_causal", m.rand.Int64N(2))}
	if m.rand.IntN(4) == 0 {
		scale = 1
		attrs = append(attrs, graph.Attr{Name: "scale", Value: scale})
	}
	m.relative = 2 * afterExp(d, q, x, scale)
	if d == graph.Float32 && m.coin() { // of a state of a type of its own
		m.stateAttention(attrs, q, x, v)
		return
	}
	if m.coin() {
		attrs = append(attrs, flag("q_num_heads", kv*group), flag("kv_num_heads", kv))
		q, x, v = q.Reshape(batch, rows, kv*group*size), x.Reshape(batch, keys, kv*size), v.Reshape(batch, keys, kv*width)
	}
	ins := []*graph.Value{m.input(q), m.input(x), m.input(v)}
	if len(q.Shape) == 4 && m.coin() {
		lengths := make([]int64, batch)
		for i := range lengths {
			lengths[i] = m.rand.Int64N(keys + 1)
		}
		ins = append(ins, nil, nil, nil, m.input(ints(lengths...)))
	}
	m.node("", "Attention", attrs, ins...)
}

// stateAttention draws attention over keys and values that are stored as narrower floats.
func (m *trial) stateAttention(attrs []graph.Attr, q, x, v *graph.Tensor) {
	ins := []*graph.Value{m.input(q)}
	for _, t := range []*graph.Tensor{x, v} {
		d := m.float()
		ins = append(ins, m.node("", "Cast", []graph.Attr{flag("to", int64(q.DType))}, m.input(m.numbers(d, t.Shape...))).out)
	}
	lengths := make([]int64, q.Shape[0])
	for i := range lengths {
		lengths[i] = m.rand.Int64N(x.Shape[2] + 1)
	}
	m.node("", "Attention", attrs, append(ins, nil, nil, nil, m.input(ints(lengths...)))...)
}

// codesAttention draws attention over keys and values that are codes of 8 bits.
func (m *trial) codesAttention() {
	d := m.float()
	batch, kv, group := m.some(2), m.some(3), m.some(4)
	rows, keys, size, width := m.extent(20, 40), m.extent(140, 200), m.some(70), m.some(70)
	if m.rand.IntN(20) == 0 {
		keys += 2 * spanKeys
	}
	q := m.numbers(d, batch, kv*group, rows, size)
	ins := []*graph.Value{m.input(q)}
	for i, width := range []int64{size, width} {
		codes, scales := filled(m.rand, graph.Int8, batch, kv, keys, width), m.scaled(graph.Float32, 1./127, batch, kv, keys, 1)
		m.node("", "DequantizeLinear", []graph.Attr{flag("axis", 3-4*m.rand.Int64N(2)), flag("block_size", width)}, m.input(codes), m.input(scales))
		if d != graph.Float32 {
			m.node("", "Cast", []graph.Attr{flag("to", int64(d))}, m.out)
		}
		ins = append(ins, m.out)
		if i == 0 {
			x, _ := m.table.Run(m.t.Context(), m.g, m.in, nil)
			m.relative = 2 * afterExp(d, q, x[len(x)-1], float32(1/math.Sqrt(float64(size))))
		}
	}
	if m.coin() {
		lengths := make([]int64, batch)
		for i := range lengths {
			lengths[i] = m.rand.Int64N(keys + 1)
		}
		ins = append(ins, nil, nil, nil, m.input(ints(lengths...)))
	}
	m.node("", "Attention", []graph.Attr{flag("is_causal", m.rand.Int64N(2))}, ins...)
}

// quantizeVectors draws vectors that get codes and scales.
func (m *trial) quantizeVectors() {
	shape := m.rows()
	rank := len(shape)
	shape[rank-1] = max(1, shape[rank-1])
	d := m.float()
	t := m.numbers(d, shape...)
	if v, _ := t.Float32s(); len(v) > 0 && m.rand.IntN(4) == 0 {
		v[m.rand.IntN(len(v))] = pick(m, float32(math.NaN()), float32(math.Inf(1)), float32(math.Inf(-1)), 1e30)
		_ = t.SetFloat32s(v)
	}
	if m.rand.IntN(8) == 0 {
		clear(t.Data)
	}
	m.absolute = 1e-300 // numbers are the same, and of those that are none not the bits
	m.quantizeVectorsOf(t)
}

func (m *trial) quantizeVectorsOf(t *graph.Tensor) {
	x := m.input(t)
	if d := t.DType; d != graph.Float32 {
		x = m.node("", "Cast", []graph.Attr{flag("to", int64(graph.Float32))}, x).out
	}
	largest := m.node("", "ReduceMax", nil, m.node("", "Abs", nil, x).out, m.constant(ints(-1))).out
	ratio := m.node("", "Div", nil, largest, m.constant(graph.Floats([]float32{127}))).out
	scale := m.node("", "Max", nil, ratio, m.constant(graph.Floats([]float32{0x1p-126}))).out
	codes := m.node("", "QuantizeLinear", []graph.Attr{flag("axis", -1), flag("block_size", t.Shape[len(t.Shape)-1]), flag("output_dtype", int64(graph.Int8))}, x, scale).out
	m.g.Outputs = []*graph.Value{codes, scale}
}

func (m *trial) segmented() {
	d := m.float()
	kv, group, size := m.some(2), m.some(3), m.some(24)
	cu, tokens := []int64{0}, int64(0)
	for range m.rand.IntN(4) {
		tokens += m.extent(30, 80) - 1
		cu = append(cu, max(tokens, cu[len(cu)-1]))
		tokens = cu[len(cu)-1]
	}
	if m.large {
		tokens += 300
		cu = append(cu, tokens)
	}
	q, x := m.numbers(d, tokens, kv*group, size), m.numbers(d, tokens, kv, size)
	ends := ints(cu...)
	if m.coin() {
		short := make([]int32, len(cu))
		for i, v := range cu {
			short[i] = int32(v)
		}
		ends = graph.FromSlice(graph.Int32, short)
	}
	m.node(op.Mnnconv, "SegmentedAttention", nil, m.input(q), m.input(x), m.input(m.numbers(d, tokens, kv, size)), m.input(ends))
	m.relative = 2 * afterExp(d, q, x, float32(1/math.Sqrt(float64(size))))
}

func (m *trial) softmax() {
	d := m.float()
	shape := m.rows()
	m.node("", "Softmax", nil, m.input(m.numbers(d, shape...)))
	m.within(d)
}

// broadcast returns a shape that broadcasts to this one.
func (m *trial) broadcast(shape []int64) []int64 {
	s := slices.Clone(shape[m.rand.IntN(len(shape)+1)*m.rand.IntN(2):])
	for i := range s {
		if m.rand.IntN(4) == 0 {
			s[i] = 1
		}
	}
	return s
}

func (m *trial) swishMul() {
	d := m.float()
	shape := m.shape()
	ins := []*graph.Value{m.input(m.numbers(d, shape...)), m.input(m.numbers(d, m.broadcast(shape)...))}
	if m.coin() {
		ins[0], ins[1] = ins[1], ins[0]
	}
	ins[0] = m.node("", "Swish", []graph.Attr{{Name: "alpha", Value: pick[float32](m, 1, 1.702, -0.3)}}, ins[0]).out
	if m.coin() {
		slices.Reverse(ins)
	}
	m.node("", "Mul", nil, ins...)
	m.within(d)
}

func (m *trial) elementwise() {
	d := m.float()
	shape := m.shape()
	ins := []*graph.Value{m.input(m.numbers(d, shape...)), m.input(m.numbers(d, m.broadcast(shape)...))}
	if m.coin() {
		slices.Reverse(ins)
	}
	m.node("", pick(m, "Add", "Sub", "Mul", "Div"), nil, ins...)
}

func (m *trial) unary() {
	d := m.float()
	name := pick(m, "Swish", "Sigmoid", "Gelu", "Relu", "Neg", "Abs", "Sqrt", "Reciprocal", "Exp", "Log", "Sin", "Cos", "Tanh", "Erf")
	var attrs []graph.Attr
	if name == "Gelu" {
		attrs = []graph.Attr{{Name: "approximate", Value: pick(m, "none", "tanh")}}
	}
	m.node("", name, attrs, m.input(m.numbers(d, m.shape()...)))
	m.within(d)
}

func (m *trial) cast() {
	x := m.numbers(m.float(), m.shape()...)
	to := m.float()
	if m.rand.IntN(3) == 0 {
		from := pick(m, graph.Int32, graph.Int64)
		x = filled(m.rand, from, x.Shape...)
		to = pick(m, graph.Float32, graph.Float16)
	}
	m.node("", "Cast", []graph.Attr{flag("to", int64(to))}, m.input(x))
}

func (m *trial) rope() {
	d := m.float()
	batch, heads, rows, size := m.some(2), m.some(4), m.extent(12, 300), 2*m.some(30)
	turned, half := int64(0), size/2
	if m.coin() {
		half = m.some(half)
		turned = 2 * half
	}
	x := m.numbers(d, batch, heads, rows, size)
	if m.coin() {
		x = x.Reshape(batch, rows, heads*size)
	}
	attrs := []graph.Attr{flag("rotary_embedding_dim", turned), flag("interleaved", m.rand.Int64N(2)), flag("num_heads", heads)}
	ins := []*graph.Value{m.input(x)}
	if m.coin() {
		ins = append(ins, m.input(m.numbers(d, batch, rows, half)), m.input(m.numbers(d, batch, rows, half)))
	} else {
		at := make([]int64, batch*rows)
		for i := range at {
			at[i] = m.rand.Int64N(50)
		}
		ins = append(ins, m.input(m.numbers(d, 50, half)), m.input(m.numbers(d, 50, half)), m.input(graph.Ints(at, batch, rows)))
	}
	m.node("", "RotaryEmbedding", attrs, ins...)
	m.within(d)
}

func (m *trial) transpose() {
	shape := m.shape()
	perm := make([]int64, len(shape))
	for i, p := range m.rand.Perm(len(shape)) {
		perm[i] = int64(p)
	}
	attrs := []graph.Attr{{Name: "perm", Value: perm}}
	if m.rand.IntN(4) == 0 {
		attrs = nil
	}
	m.node("", "Transpose", attrs, m.input(filled(m.rand, pick(m, movedTypes...), shape...)))
}

func (m *trial) expand() {
	shape := m.shape()
	from := m.broadcast(shape)
	m.node("", "Expand", nil, m.input(filled(m.rand, pick(m, movedTypes...), from...)), m.constant(ints(shape...)))
}

func (m *trial) slice() {
	shape := m.rows()
	var starts, ends, axes, steps []int64
	for d, n := range shape {
		if m.coin() && len(starts) > 0 || m.large && d < len(shape)-1 {
			continue
		}
		place := func() int64 {
			if m.rand.IntN(8) == 0 {
				return pick[int64](m, math.MinInt64, math.MaxInt64)
			}
			return m.rand.Int64N(3*n+3) - n - 1
		}
		start, end := place(), place()
		if m.large {
			start, end = 0, n-m.rand.Int64N(3)
		}
		starts, ends, steps = append(starts, start), append(ends, end), append(steps, pick[int64](m, 1, 1, 2, 3, math.MaxInt64))
		if m.large {
			steps[len(steps)-1] = 1
		}
		axes = append(axes, int64(d)-int64(len(shape))*m.rand.Int64N(2))
	}
	ins := []*graph.Value{m.input(filled(m.rand, pick(m, movedTypes...), shape...)), m.constant(ints(starts...)), m.constant(ints(ends...)), m.constant(ints(axes...)), m.constant(ints(steps...))}
	m.node("", "Slice", nil, ins...)
}

func (m *trial) concat() {
	d := pick(m, movedTypes...)
	shape := m.rows()
	axis := m.rand.IntN(len(shape))
	var ins []*graph.Value
	for range 1 + m.rand.IntN(4) {
		s := slices.Clone(shape)
		if !m.large {
			s[axis] = m.extent(20, 20)
		}
		ins = append(ins, m.input(filled(m.rand, d, s...)))
	}
	m.node("", "Concat", []graph.Attr{flag("axis", int64(axis-len(shape)*m.rand.IntN(2)))}, ins...)
}

func (m *trial) split() {
	shape := m.rows()
	axis := m.rand.IntN(len(shape))
	parts := make([]int64, 1+m.rand.IntN(4))
	shape[axis] = 0
	for i := range parts {
		parts[i] = m.extent(20, 400)
		shape[axis] += parts[i]
	}
	x, sizes := m.input(filled(m.rand, pick(m, movedTypes...), shape...)), m.constant(ints(parts...))
	addNode(m.g, "", "Split", []*graph.Value{x, sizes}, len(parts), flag("axis", int64(axis)))
}

func (m *trial) splitTurned() {
	perm := m.rand.Perm(2 + m.rand.IntN(3))
	axis := m.rand.IntN(len(perm))
	shape, list := make([]int64, len(perm)), make([]int64, len(perm))
	for i, k := range perm {
		list[i], shape[i] = int64(k), m.some(9)
	}
	parts := []int64{1, 1, 1}
	if m.coin() {
		parts = []int64{m.some(5), m.extent(20, 20)}
	}
	shape[perm[(axis+1)%len(perm)]] = m.extent(9, 20_000)
	shape[perm[axis]] = 0
	for _, n := range parts {
		shape[perm[axis]] += n
	}
	m.node("", "Transpose", []graph.Attr{{Name: "perm", Value: list}}, m.input(filled(m.rand, pick(m, movedTypes...), shape...)))
	addNode(m.g, "", "Split", []*graph.Value{m.out, m.constant(ints(parts...))}, len(parts), flag("axis", int64(axis)))
}

func (m *trial) gatherColumns() {
	d := pick(m, graph.Float32, graph.Float16, graph.Int32)
	cols := m.some(70)
	perm := []graph.Attr{{Name: "perm", Value: []int64{1, 0}}}
	if m.coin() {
		perm = nil
	}
	m.node("", "Transpose", perm, m.constant(filled(m.rand, d, 1+m.extent(60, 200), cols)))
	m.node("", "Gather", nil, m.out, m.input(m.indices(cols)))
}

// indices draws places in an extent, from either end.
func (m *trial) indices(n int64) *graph.Tensor {
	shape := []int64{m.extent(9, 120)}
	if m.coin() {
		shape = append(shape, m.some(4))
	}
	if m.rand.IntN(8) == 0 && !m.large {
		shape = []int64{}
	}
	count, _ := graph.Elements(shape)
	v := make([]int64, count)
	for i := range v {
		v[i] = m.rand.Int64N(2*n) - n
	}
	if m.coin() {
		short := make([]int32, count)
		for i := range v {
			short[i] = int32(v[i])
		}
		return graph.FromSlice(graph.Int32, short, shape...)
	}
	return graph.Ints(v, shape...)
}

func (m *trial) gather() {
	d := pick(m, movedTypes...)
	shape := m.shape()
	axis := 0
	if m.rand.IntN(4) > 0 {
		if len(shape) > 0 && !m.large {
			axis = m.rand.IntN(len(shape))
		}
		if len(shape) == 0 {
			shape = []int64{1}
		}
		shape[axis] = max(1, shape[axis])
		m.node("", "Gather", []graph.Attr{flag("axis", int64(axis-len(shape)*m.rand.IntN(2)))}, m.input(filled(m.rand, d, shape...)), m.input(m.indices(shape[axis])))
		return
	}
	shape = append([]int64{m.some(9)}, shape...)
	at := m.indices(shape[0])
	v, _ := at.Int64s()
	m.node("", "GatherND", nil, m.input(filled(m.rand, d, shape...)), m.input(graph.Ints(v, append(slices.Clone(at.Shape), 1)...)))
}

func (m *trial) gatherBlocks() {
	d := m.float()
	table := pick(m, graph.Int4, graph.Uint4, graph.Uint8, graph.Uint8)
	bits := int64(4)
	if table == graph.Uint8 {
		bits = pick[int64](m, 4, 8)
	}
	rows, block, width := m.some(40), pick[int64](m, 16, 32, 64), 2*m.some(80)
	blocks := (width + block - 1) / block
	stored, zeros := width, blocks
	if table == graph.Uint8 {
		stored, zeros = width*bits/8, (blocks*bits+7)/8
	}
	ins := []*graph.Value{m.input(filled(m.rand, table, rows, stored)), m.input(m.indices(rows)), m.input(m.numbers(d, rows, blocks))}
	if m.coin() {
		ins = append(ins, m.input(filled(m.rand, table, rows, zeros)))
	}
	m.node(op.Microsoft, "GatherBlockQuantized", []graph.Attr{flag("bits", bits), flag("block_size", block), flag("gather_axis", 0), flag("quantize_axis", 1)}, ins...)
}

func (m *trial) scatterND() {
	d := pick(m, movedTypes...)
	shape := m.rows()
	for i := range shape {
		shape[i] = max(1, shape[i])
	}
	axes := 1 + m.rand.IntN(len(shape))
	places := m.rand.Int64N(6)
	var at []int64
	for range places {
		for d := range axes {
			at = append(at, m.rand.Int64N(2*shape[d])-shape[d])
		}
	}
	update := append([]int64{places}, shape[axes:]...)
	m.node("", "ScatterND", nil, m.input(filled(m.rand, d, shape...)), m.input(graph.Ints(at, places, int64(axes))), m.input(filled(m.rand, d, update...)))
}

func (m *trial) topK() {
	d := m.float()
	width := m.some(300)
	if m.large {
		width = 20_000 + m.some(9000)
	}
	x := m.numbers(d, m.extent(4, 3), width)
	if m.coin() { // with ties
		v, _ := x.Float32s()
		for i := range v {
			v[i] = float32(int(v[i]))
		}
		_ = x.SetFloat32s(v)
	}
	addNode(m.g, "", "TopK", []*graph.Value{m.input(x), m.constant(ints(m.some(min(width, 100))))}, 2)
}
