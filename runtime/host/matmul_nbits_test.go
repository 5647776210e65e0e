package host

import (
	"errors"
	"fmt"
	"testing"

	"mnnconv/graph"
	"mnnconv/runtime/host/internal/simd"
	"mnnconv/schemas/op"
)

// nbits adds a MatMulNBits of random weights. zeros is "", "packed" or "float".
func (m *multiply) nbits(d graph.DType, x []int64, n, bits, block int64, zeros string, bias bool) *multiply {
	m.t.Helper()
	k := x[len(x)-1]
	perRow := (k + block - 1) / block
	scales := m.numbers(d, n, perRow)
	ins := []*graph.Value{m.input(m.numbers(d, x...)), m.constant(m.bytes(n, perRow, block*bits/8)), m.constant(scales), nil, nil, nil}
	switch zeros {
	case "packed":
		ins[3] = m.constant(m.bytes(n, (perRow*bits+7)/8))
	case "float":
		ins[3] = m.constant(m.numbers(d, n, perRow))
	}
	if bias {
		ins[5] = m.constant(m.numbers(d, n))
	}
	for ins[len(ins)-1] == nil {
		ins = ins[:len(ins)-1]
	}
	return m.node(op.Microsoft, "MatMulNBits", []graph.Attr{
		{Name: "K", Value: k}, {Name: "N", Value: n}, {Name: "bits", Value: bits}, {Name: "block_size", Value: block}, {Name: "accuracy_level", Value: int64(4)},
	}, ins...)
}

func TestMatMulNBits(t *testing.T) {
	i := uint64(0)
	for _, d := range []graph.DType{graph.Float32, graph.Float16} {
		for _, bits := range []int64{4, 8} {
			for _, block := range []int64{16, 32, 128, 256} {
				for _, zeros := range []string{"", "packed", "float"} {
					for _, x := range [][]int64{{1, 300}, {1, 5, 4200}, {2, 33, 77}} {
						i++
						t.Run(fmt.Sprintf("%s/%d bits/blocks of %d/zeros %s/%v", d, bits, block, zeros, x), func(t *testing.T) {
							m := newMultiply(t, i)
							m.nbits(d, x, 37, bits, block, zeros, i%2 == 0)
							m.check(1 << bits * 4200)
						})
					}
				}
			}
		}
	}
}

func TestMatMulNBitsAdd(t *testing.T) {
	m := newMultiply(t, 1)
	m.nbits(graph.Float32, []int64{2, 64}, 24, 4, 32, "", false)
	m.node("", "Add", nil, m.constant(m.numbers(graph.Float32, 24)), m.out)
	m.check(64 * 16)
}

// Scales may be stored narrower than the operator takes them.
func TestMatMulNBitsOfNarrowScales(t *testing.T) {
	m := newMultiply(t, 1)
	m.node("", "Cast", []graph.Attr{{Name: "to", Value: int64(graph.Float32)}}, m.constant(m.numbers(graph.Float16, 24, 3)))
	m.node(op.Microsoft, "MatMulNBits", []graph.Attr{
		{Name: "K", Value: int64(96)}, {Name: "N", Value: int64(24)}, {Name: "bits", Value: int64(4)}, {Name: "block_size", Value: int64(32)},
	}, m.input(m.numbers(graph.Float32, 5, 96)), m.constant(m.bytes(24, 3, 16)), m.out)
	m.check(96 * 16)
}

// Weights that were left out, and ones in the order of rows that g_idx gives,
// stay with the reference.
func TestMatMulNBitsKeepsTheReferenceForOtherForms(t *testing.T) {
	for name, change := range map[string]func(m *multiply, n *graph.Node){
		"no weights": func(m *multiply, n *graph.Node) { n.Inputs[1] = m.constant(m.bytes(0)) },
		"g_idx":      func(m *multiply, n *graph.Node) { n.Inputs = append(n.Inputs, nil, m.constant(graph.Ints(nil))) },
		"prepacked":  func(m *multiply, n *graph.Node) { n.SetAttr("weight_prepacked", 1) },
		"2 bits":     func(m *multiply, n *graph.Node) { n.SetAttr("bits", 2) },
	} {
		m := newMultiply(t, 1).nbits(graph.Float32, []int64{2, 64}, 24, 4, 32, "", false)
		change(m, m.g.Nodes[0])
		if g := Lower(m.g, Math{})[0]; g.Kernel != nil {
			t.Errorf("%s: got a kernel", name)
		}
	}
}

func BenchmarkMatMulNBits(b *testing.B) {
	for _, s := range []struct {
		d             graph.DType
		bits, m, k, n int64
	}{
		{graph.Float32, 4, 512, 2048, 11008},
		{graph.Float32, 4, 512, 11008, 2048},
		{graph.Float32, 4, 1, 2048, 11008},
		{graph.Float32, 4, 16, 2048, 11008},
		{graph.Float16, 8, 1, 2048, 11008},
	} {
		for _, mode := range []string{"exact", "int8act", "fast"} {
			b.Run(fmt.Sprintf("%s/%s/%dbits/%dx%dx%d", mode, s.d, s.bits, s.m, s.k, s.n), func(b *testing.B) {
				m := newMultiply(b, 1)
				m.math, _ = ParseMath(mode)
				m.nbits(s.d, []int64{s.m, s.k}, s.n, s.bits, 32, "", false)
				benchmark(b, m, int(s.m), int(s.k), int(s.n), int(s.k*s.n*(s.bits+int64(s.d.Bits())/32)/8)) // with scales
			})
		}
	}
}

// With int8act, activations are numbers of 8 bits by the block: results are those of
// such activations, computed exactly.
func TestMatMulNBitsInt8Act(t *testing.T) {
	math, err := ParseMath("other=exact,int8act")
	if err != nil {
		t.Fatal(err)
	}
	i := uint64(0)
	for _, d := range []graph.DType{graph.Float32, graph.Float16} {
		for _, bits := range []int64{4, 8} {
			for _, block := range []int64{32, 128} {
				for _, zeros := range []string{"", "packed", "float"} {
					for _, x := range [][]int64{{1, 300}, {1, 5, 4200}, {2, 33, 77}, {130, 3420}} {
						i++
						t.Run(fmt.Sprintf("%s/%d bits/blocks of %d/zeros %s/%v", d, bits, block, zeros, x), func(t *testing.T) {
							m := newMultiply(t, i)
							m.nbits(d, x, 37, bits, block, zeros, i%2 == 0)
							v, _ := m.in[0].Float32s()
							rows := m.in[0].Len() / int(x[len(x)-1])
							for r := range rows {
								asQuantised(v[r*len(v)/rows : (r+1)*len(v)/rows])
							}
							if err := m.in[0].SetFloat32s(v); err != nil {
								t.Fatal(err)
							}
							m.math = math
							m.check(1 << bits * 4200)
						})
					}
				}
			}
		}
	}
}

// asQuantised makes of numbers what are integers from -127 to 127 times a power of two
// in each block of 32, which quantising leaves as they are.
func asQuantised(v []float32) {
	for len(v) > 0 {
		block := v[:min(32, len(v))]
		for i, x := range block {
			block[i] = float32(int(min(max(32*x, -127), 127))) / 32
		}
		block[0] = 127. / 32
		v = v[len(block):]
	}
}

// With fast, numbers that both arithmetics hold are computed exactly.
func TestMatMulNBitsFast(t *testing.T) {
	i := uint64(0)
	for _, d := range []graph.DType{graph.Float32, graph.Float16} {
		for _, bits := range []int64{4, 8} {
			for _, block := range []int64{32, 128} {
				for _, zeros := range []string{"", "packed"} {
					for _, x := range [][]int64{{1, 300}, {17, 77}, {roundedRows - 1, 64}, {roundedRows, 64}, {130, 3420}, {2, 65, 1057}} {
						i++
						t.Run(fmt.Sprintf("%s/%d bits/blocks of %d/zeros %s/%v", d, bits, block, zeros, x), func(t *testing.T) {
							m := newMultiply(t, i)
							m.nbits(d, x, 37, bits, block, zeros, false)
							m.math, _ = ParseMath("fast")
							v, _ := m.in[0].Float32s()
							k := int(x[len(x)-1])
							for j := range v {
								q := float32(m.rand.IntN(255) - 127)
								if j%k%simd.Block == 0 {
									q = 127
								}
								v[j] = q / 64
							}
							scales := m.g.Nodes[0].Inputs[2].Const
							s, _ := scales.Float32s()
							for j := range s {
								s[j] = 1 / float32(int(1)<<(int(bits)-1+m.rand.IntN(3)))
							}
							if err := errors.Join(m.in[0].SetFloat32s(v), scales.SetFloat32s(s)); err != nil {
								t.Fatal(err)
							}
							m.check(4 * k)
						})
					}
				}
			}
		}
	}
}

// No arithmetic is further from the exact one than int8act.
func TestFastErrsNoMore(t *testing.T) {
	m := newMultiply(t, 1)
	m.nbits(graph.Float32, []int64{130, 3420}, 64, 4, 32, "packed", false)
	results := map[string][]float32{}
	for _, mode := range []string{"exact", "int8act", "fast"} {
		m.math, _ = ParseMath(mode)
		kernel, c, _ := m.kernel(nil)
		if err := kernel(c); err != nil {
			t.Fatal(err)
		}
		results[mode], _ = c.Out[0].Float32s()
	}
	far := func(mode string) (sum float64) {
		for i, x := range results[mode] {
			d := float64(x - results["exact"][i])
			sum += d * d
		}
		return sum
	}
	if f, q := far("fast"), far("int8act"); !(f <= q) || q == 0 {
		t.Errorf("squares of errors: fast %v, int8act %v", f, q)
	}
}

func TestParseMath(t *testing.T) {
	for _, text := range []string{"int7", "=int8act", "llm=", "llm=exact,", "exact int8act", "llm.layers.3-1=exact", "/(/=int8act"} {
		if _, err := ParseMath(text); !errors.Is(err, ErrMath) {
			t.Errorf("%q: %v", text, err)
		}
	}
	m, err := ParseMath("llm.layers.1=exact,llm.layers.20-29 = exact , /mlp[.]down{1,2}$/=exact,llm=int8act,head=fast")
	if err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]arithmetic{"llm.layers.1.mlp.up": exact, "llm.layers.10.mlp.up": int8act, "llm.layers.24.mlp.up": exact, "llm.layers.3.mlp.down": exact, "llm": int8act, "head": fast, "vision.blocks.0": exact, "llmx": exact, "": exact} {
		if got := m.of(&graph.Node{Path: path}); got != want {
			t.Errorf("%q: %v, want %v", path, got, want)
		}
	}
}

// Scales may be codes of 8 bits times a factor for each row, however that is written.
func TestMatMulNBitsOfCodedScales(t *testing.T) {
	for _, form := range []string{"Mul", "Mul turned", "DequantizeLinear"} {
		for _, d := range []graph.DType{graph.Float32, graph.Float16} {
			for _, zeros := range []bool{false, true} {
				for i, x := range [][]int64{{1, 300}, {5, 4200}, {33, 77}, {200, 96}} {
					t.Run(fmt.Sprintf("%s/%s/zeros %v/%v", form, d, zeros, x), func(t *testing.T) {
						m := newMultiply(t, uint64(i))
						block := int64(32 << (i % 2))
						m.coded(form, d, x, 24, block, zeros)
						m.check(16 * 4200)
					})
				}
			}
		}
	}
}

// coded adds a MatMulNBits of 4 bits with scales of 8 bits.
func (m *multiply) coded(form string, d graph.DType, x []int64, n, block int64, zeros bool) {
	m.t.Helper()
	k := x[len(x)-1]
	perRow := (k + block - 1) / block
	in := m.input(m.numbers(d, x...))
	scales := m.codedScales(form, d, 1, n, perRow)
	ins := []*graph.Value{in, m.constant(m.bytes(n, perRow, block/2)), scales}
	if zeros {
		ins = append(ins, m.constant(m.bytes(n, (perRow+1)/2)))
	}
	m.node(op.Microsoft, "MatMulNBits", []graph.Attr{
		{Name: "K", Value: k}, {Name: "N", Value: n}, {Name: "bits", Value: int64(4)}, {Name: "block_size", Value: block},
	}, ins...)
}

// codedScales adds scales of 8 bits, of a size, and returns what they stand for.
func (m *multiply) codedScales(form string, d graph.DType, size float64, rows, blocks int64) *graph.Value {
	m.t.Helper()
	codes, factors := m.bytes(rows, blocks), m.numbers(graph.Float32, rows)
	codes.DType = graph.Int8
	for i := range graph.View[float32](factors) {
		graph.View[float32](factors)[i] *= float32(size / 127)
	}
	if form == "DequantizeLinear" {
		m.node("", form, []graph.Attr{{Name: "axis", Value: int64(0)}}, m.constant(codes), m.constant(factors))
	} else {
		factors.Shape = []int64{rows, 1}
		m.node("", "Cast", []graph.Attr{{Name: "to", Value: int64(graph.Float32)}}, m.constant(codes))
		a, b := m.out, m.constant(factors)
		if form == "Mul turned" {
			a, b = b, a
		}
		m.node("", "Mul", nil, a, b)
	}
	if d == graph.Float16 {
		m.node("", "Cast", []graph.Attr{{Name: "to", Value: int64(d)}}, m.out)
	}
	return m.out
}
