package host

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"reflect"
	goruntime "runtime"
	"slices"
	"strings"
	"testing"

	"mnnconv/graph"
	"mnnconv/runtime/host/internal/simd"
	"mnnconv/schemas/op"
)

// trial is a graph of random shapes that one kernel should cover, with its data.
type trial struct {
	*multiply
	large              bool // work for several workers
	relative, absolute float64
}

// shapes is how many random shapes each variety of a kernel is tried with. One in
// every so many is large.
const (
	shapes   = 10_000
	perLarge = 200
)

// Every kernel is tried with 10,000 random shapes a variety: it gives the
// reference's numbers, the same bits on one worker as on two, writes nothing beside its
// outputs and changes no input. A lowering that has no variety here fails.
func TestKernelsOverShapes(t *testing.T) {
	count := shapes
	if raced || os.Getenv(simd.Variable) != "" {
		count /= 10 // slower there; the loops themselves are tried at every level by their own tests
	}
	left := map[string]bool{}
	for _, l := range lowerings {
		left[nameOf(l)] = true
	}
	pool := NewPool(2)
	defer pool.Close()
	table := op.All()
	for _, v := range varieties {
		if _, ok := left[v.lowering]; !ok {
			t.Errorf("%s is not among the lowerings", v.lowering)
		}
		left[v.lowering] = false
		t.Run(v.lowering+" "+v.name, func(t *testing.T) {
			r := rand.New(rand.NewPCG(1, 7))
			regions := pool.epoch.Load()
			for i := range count {
				m := &trial{multiply: &multiply{t: t, rand: r, table: table, g: graph.New("trial")}, large: i%perLarge == 0}
				v.form(m)
				if err := m.try(pool, v.lowering); err != nil {
					t.Fatalf("shape %d:\n%v\n%v", i, m.g, err)
				}
			}
			if n := pool.epoch.Load() - regions; !v.whole && n < uint64(count/perLarge/2) {
				t.Errorf("%d of %d calls had parts for two workers", n, count)
			}
		})
	}
	for name, untried := range left {
		if untried {
			t.Errorf("%s has no variety: add one that draws its forms", name)
		}
	}
}

// nameOf returns the name of a lowering's function.
func nameOf(l lowering) string {
	name := goruntime.FuncForPC(reflect.ValueOf(l).Pointer()).Name()
	return name[strings.LastIndexByte(name, '.')+1:]
}

// try runs the kernel on the caller alone and on the pool.
func (m *trial) try(pool *Pool, by string) error {
	want, err := m.table.Run(context.Background(), m.g, m.in, nil)
	if err != nil {
		return fmt.Errorf("reference: %w", err)
	}
	groups := Lower(m.g, m.math)
	if len(groups) != 1 {
		return fmt.Errorf("%d kernels for %d nodes", len(groups), len(m.g.Nodes))
	}
	uses, g := m.g.Uses(), groups[0]
	first := slices.IndexFunc(lowerings, func(l lowering) bool { _, ok := l(m.g.Nodes[len(m.g.Nodes)-1], uses); return ok })
	if first < 0 || nameOf(lowerings[first]) != by {
		return fmt.Errorf("it is not %s that takes the form", by)
	}
	if g.View {
		if !bytes.Equal(want[0].Data, m.in[0].Data) {
			return fmt.Errorf("a view has other bytes than its input")
		}
		return nil
	}
	before := make([][]byte, len(m.in))
	tensors := map[*graph.Value]*graph.Tensor{}
	for i, v := range m.g.Inputs {
		tensors[v], before[i] = m.in[i], bytes.Clone(m.in[i].Data)
	}
	wanted := make([]*graph.Tensor, len(g.Out)) // in the kernel's order
	for i, v := range g.Out {
		wanted[i] = want[slices.Index(m.g.Outputs, v)]
	}
	c, guards := call(g, tensors, wanted)
	var alone [][]byte
	for _, c.Pool = range []*Pool{nil, pool} {
		for _, b := range guards {
			for i := range b {
				b[i] = 0xa5
			}
		}
		if g.InPlace {
			copy(c.Out[0].Data, c.In[0].Data)
		}
		pool.crowded.Store(0) // else callers that met shortly before run alone
		if err := g.Kernel(c); err != nil {
			return fmt.Errorf("%s: %w", g.Name, err)
		}
		for i, w := range wanted {
			if err := near(c.Out[i], w, m.relative, m.absolute); err != nil {
				return fmt.Errorf("%s, output %d of %s: %w", g.Name, i, w.Type(), err)
			}
			b, k := guards[i], len(w.Data)
			if bytes.Count(b[:guard], []byte{0xa5}) != guard || bytes.Count(b[guard+k:], []byte{0xa5}) != guard {
				return fmt.Errorf("%s writes beside output %d of %s", g.Name, i, w.Type())
			}
			if c.Pool == nil {
				alone = append(alone, bytes.Clone(c.Out[i].Data))
			} else if !bytes.Equal(alone[i], c.Out[i].Data) {
				return fmt.Errorf("%s, output %d of %s: two workers give other bits than one", g.Name, i, w.Type())
			}
		}
	}
	for i := range m.in {
		if !bytes.Equal(before[i], m.in[i].Data) {
			return fmt.Errorf("%s changes input %d", g.Name, i)
		}
	}
	return nil
}

// extent draws from 1 to small, now and then 0, and in large trials from large/2 to
// large.
func (m *trial) extent(small, large int64) int64 {
	switch {
	case m.large:
		return large - m.rand.Int64N(large/2+1)
	case m.rand.IntN(200) == 0:
		return 0
	case m.rand.IntN(3) > 0:
		return 1 + m.rand.Int64N(min(small, 6))
	}
	return 1 + m.rand.Int64N(small)
}

// some draws from 1 to most.
func (m *trial) some(most int64) int64 { return 1 + m.rand.Int64N(most) }

// coin draws one of two.
func (m *trial) coin() bool { return m.rand.IntN(2) == 0 }

// float draws a type.
func (m *trial) float() graph.DType { return pick(m, floatTypes...) }

// pick draws one of a list.
func pick[T any](m *trial, of ...T) T { return of[m.rand.IntN(len(of))] }

// scaled returns a tensor of random numbers around 0, as large as by.
func (m *trial) scaled(d graph.DType, by float64, shape ...int64) *graph.Tensor {
	x := m.numbers(d, shape...)
	v, _ := x.Float32s()
	for i := range v {
		v[i] *= float32(by)
	}
	if err := x.SetFloat32s(v); err != nil {
		m.t.Fatal(err)
	}
	return x
}

// shape draws up to five extents; at least two in large trials.
func (m *trial) shape() []int64 {
	if m.large {
		return []int64{40 + m.some(40), 500 + m.some(300)}
	}
	shape := make([]int64, m.rand.IntN(5))
	for i := range shape {
		if shape[i] = m.some(4); m.rand.IntN(300) == 0 {
			shape[i] = 0
		}
	}
	if m.coin() {
		shape = append(shape, m.some(70))
	}
	return shape
}

// rows draws the shape of what has a last axis.
func (m *trial) rows() []int64 {
	if shape := m.shape(); len(shape) > 0 {
		return shape
	}
	return []int64{m.extent(90, 90)}
}

// within allows a type's rounding relative to the largest number.
func (m *trial) within(d graph.DType) { m.relative = tolerance[d] }

// sums allows what the order of sums of depth products of numbers around 1, and rounding
// in between to a type, may change.
func (m *trial) sums(d graph.DType, depth int64) {
	unit := map[graph.DType]float64{graph.Float16: 0x1p-10, graph.BFloat16: 0x1p-7}[d]
	m.relative, m.absolute = 4*unit, 1e-6*float64(depth+16)+8*unit
}
