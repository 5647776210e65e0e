package host

import (
	"errors"
	"fmt"
	"testing"

	"mnnconv/graph"
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
		{graph.Float32, 4, 1, 2048, 11008},
		{graph.Float32, 4, 16, 2048, 11008},
		{graph.Float16, 8, 1, 2048, 11008},
	} {
		for _, mode := range []string{"exact", "int8act"} {
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

func TestParseMath(t *testing.T) {
	for _, text := range []string{"int7", "=int8act", "llm=", "llm=exact,", "exact int8act", "llm.layers.3-1=exact", "/(/=int8act"} {
		if _, err := ParseMath(text); !errors.Is(err, ErrMath) {
			t.Errorf("%q: %v", text, err)
		}
	}
	m, err := ParseMath("llm.layers.1=exact,llm.layers.20-29=exact, /mlp[.]down{1,2}$/=exact,llm=int8act")
	if err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]bool{"llm.layers.1.mlp.up": false, "llm.layers.10.mlp.up": true, "llm.layers.24.mlp.up": false, "llm.layers.3.mlp.down": false, "llm": true, "vision.blocks.0": false, "llmx": false, "": false} {
		if got := m.int8act(&graph.Node{Path: path}); got != want {
			t.Errorf("%q: int8act is %v, want %v", path, got, want)
		}
	}
}
