package compare

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"

	"mnnconv/graph"
	"mnnconv/partition"
	"mnnconv/runtime"
)

// transferError: what a device was given came back as something else.
type transferError struct {
	value  *graph.Value
	target string
}

func (e transferError) Error() string {
	return fmt.Sprintf("value %q, stored on %s and fetched again, is not what it was: a transfer changes bytes", partition.Source(e.value).Name, e.target)
}

// isolate runs an extract alone on its device over tensors aligned with its In, and
// returns tensors aligned with its Out. Nothing of it stays on the device.
func isolate(ctx context.Context, d runtime.Device, x *partition.Extract, in []*graph.Tensor) (out []*graph.Tensor, err error) {
	p := x.Partition()
	env := graph.Env{}
	for i, v := range p.Inputs {
		if err := env.Bind(v, in[i]); err != nil {
			return nil, err
		}
	}
	memory, err := x.Plan.Layout(env)
	if err != nil {
		return nil, err
	}
	var owned []io.Closer
	defer func() {
		for _, c := range slices.Backward(owned) {
			err = errors.Join(err, c.Close())
		}
	}()
	alloc := func(size int64) (runtime.Buffer, error) {
		b, err := d.Alloc(size, runtime.DeviceMemory)
		if err == nil {
			owned = append(owned, b)
		}
		return b, err
	}
	b := runtime.Bindings{Memory: memory, Inputs: make([]runtime.Bound, len(in))}
	if a := memory.Arena(p.Space); a != nil {
		if b.Arena, err = alloc(a.Size); err != nil {
			return nil, err
		}
	}
	for i, v := range p.Inputs {
		size := int64(len(in[i].Data))
		view, ok := b.InArena(v, size)
		if !ok {
			buffer, err := alloc(size)
			if err != nil {
				return nil, err
			}
			view = runtime.View{Buffer: buffer, Size: size}
		}
		b.Inputs[i] = runtime.Bound{View: view, DType: in[i].DType, Shape: in[i].Shape}
		same, err := bring(d, b.Inputs[i], in[i])
		if err != nil {
			return nil, fmt.Errorf("value %q on %s: %w", x.In[i].Name, p.Target, err)
		}
		if !same {
			return nil, transferError{x.In[i], p.Target}
		}
	}
	prog, err := d.Compile(p)
	if err != nil {
		return nil, err
	}
	owned = append(owned, prog)
	launch, err := prog.Record(b)
	if err != nil {
		return nil, err
	}
	owned = append(owned, launch)
	ev, err := launch.Submit(ctx, nil)
	if err != nil {
		return nil, err
	}
	if err := ev.Wait(context.Background()); err != nil {
		return nil, err
	}
	bound, err := launch.Outputs()
	if err != nil {
		return nil, err
	}
	for i, o := range bound {
		t, err := runtime.Fetch(d, o)
		if err != nil {
			return nil, fmt.Errorf("value %q on %s: %w", x.Out[i].Name, p.Target, err)
		}
		out = append(out, t)
	}
	return out, nil
}

// bring stores a tensor on a device and reports whether it comes back as it was.
func bring(d runtime.Device, to runtime.Bound, t *graph.Tensor) (same bool, err error) {
	if err := runtime.Store(d, to.View, t.Data); err != nil {
		return false, err
	}
	back, err := runtime.Fetch(d, to)
	return err == nil && bytes.Equal(back.Data, t.Data), err
}
