package gpu

import (
	"encoding/binary"
	"fmt"
	"math"

	"mnnconv/graph"
	"mnnconv/partition"
	"mnnconv/schemas/op"
)

// Recorder turns one group into launches, at the shapes of its tensors.
type Recorder struct {
	In, Out, Work []*Tensor // aligned with the group's; nil: absent, not wanted, or without elements to hold
	Node          string    // for messages

	d        *Device
	limits   Limits
	host     []*graph.Tensor // constants among the inputs
	commands []Command
	scratch  []scratched
	needs    int64 // bytes of scratch that this group needs
	counts   int64 // and of counts
}

// Tensor is a value's shape and its place on the device.
type Tensor struct {
	DType graph.DType
	Shape []int64

	memory Memory // nil: it has no elements, or is scratch until there is some
	offset int64
	size   int64 // bytes
	of     *buffer
	counts bool // of all launches: scratch that is zero before each
}

// scratched is an argument that waits for scratch memory.
type scratched struct {
	command, arg int
	offset       int64
	counts       bool
}

// maxElements bounds a tensor that kernels index with 32 bits.
const maxElements = math.MaxInt32

// Len returns the number of elements.
func (t *Tensor) Len() int {
	n := 1
	for _, d := range t.Shape {
		n *= int(d)
	}
	return n
}

// At returns an extent, counted from the end where i is negative; 1 where the
// tensor has fewer axes.
func (t *Tensor) At(i int) int {
	if i < 0 {
		i += len(t.Shape)
	}
	if i < 0 || i >= len(t.Shape) {
		return 1
	}
	return int(t.Shape[i])
}

// Const returns input i where it is a constant, as the model has it, or nil.
func (r *Recorder) Const(i int) *graph.Tensor {
	if i < len(r.host) {
		return r.host[i]
	}
	return nil
}

// Optional returns input i or nil.
func (r *Recorder) Optional(i int) *Tensor {
	if i < len(r.In) {
		return r.In[i]
	}
	return nil
}

// Scratch returns memory for one group: the next has it again.
func (r *Recorder) Scratch(d graph.DType, n int) (*Tensor, error) {
	size, ok := d.Bytes(int64(n))
	if !ok || n > maxElements {
		return nil, r.errorf("%w: %d numbers of scratch", partition.ErrLimit, n)
	}
	at := (r.needs + r.d.align - 1) / r.d.align * r.d.align
	r.needs = at + size
	return &Tensor{DType: d, Shape: []int64{int64(n)}, offset: at, size: size}, nil
}

// Counts returns n numbers of 32 bits that are zero, and that a launch must leave so: the
// next has them again.
func (r *Recorder) Counts(n int) *Tensor {
	r.counts = max(r.counts, 4*int64(n))
	return &Tensor{DType: graph.Uint32, Shape: []int64{int64(n)}, size: 4 * int64(n), counts: true}
}

// Launch queues groups of size work-items each. Arguments are *Tensor, int (32 bits),
// float32, and structs of fixed size; a nil *Tensor is no memory.
func (r *Recorder) Launch(module, kernel string, groups [3]int, size int, args ...any) error {
	c := Command{Module: module, Kernel: kernel, Groups: groups, Size: size, Node: r.Node}
	for _, g := range groups {
		if g == 0 { // nothing to do
			return nil
		}
		if g < 0 || g > math.MaxInt32 {
			return r.errorf("%w: %s in %v groups", partition.ErrLimit, kernel, groups)
		}
	}
	for _, a := range args {
		arg, err := r.arg(a, len(c.Args))
		if err != nil {
			return err
		}
		c.Args = append(c.Args, arg)
	}
	r.commands = append(r.commands, c)
	return nil
}

func (r *Recorder) arg(a any, i int) (Arg, error) {
	switch a := a.(type) {
	case *Tensor:
		if a == nil || a.size == 0 {
			return Arg{}, nil
		}
		if a.memory == nil {
			r.scratch = append(r.scratch, scratched{len(r.commands), i, a.offset, a.counts})
		}
		return Arg{Memory: a.memory, Offset: a.offset, Bytes: a.size}, nil
	case int:
		if a > math.MaxInt32 || a < math.MinInt32 {
			return Arg{}, r.errorf("%w: %d does not fit 32 bits", partition.ErrLimit, a)
		}
		return Arg{Value: binary.LittleEndian.AppendUint32(nil, uint32(int32(a)))}, nil
	case bool:
		if a {
			return r.arg(1, i)
		}
		return r.arg(0, i)
	}
	b, err := binary.Append(nil, binary.LittleEndian, a)
	if err != nil {
		return Arg{}, fmt.Errorf("gpu: invariant: argument %d: %w", i, err)
	}
	return Arg{Value: b}, nil
}

// errorf is an error of the node at hand.
func (r *Recorder) errorf(format string, args ...any) error {
	return fmt.Errorf("%s: %w", r.Node, fmt.Errorf(format, args...))
}

// mismatch is an error for shapes that do not go together.
func (r *Recorder) mismatch(ts ...*Tensor) error {
	text := ""
	for _, t := range ts {
		if t != nil {
			text += fmt.Sprintf(" %s%v", t.DType, t.Shape)
		}
	}
	return r.errorf("%w: shapes that do not go together:%s", op.ErrInput, text)
}

// ceil is a / b, rounded up.
func ceil(a, b int) int { return (a + b - 1) / b }

// wide is the size of groups for kernels that have nothing to share in one.
const wide = 256

// over returns groups of wide work-items for n elements; kernels stride by the grid
// beyond.
func over(n int) [3]int { return [3]int{min(ceil(n, wide), 1<<16), 1, 1} }
