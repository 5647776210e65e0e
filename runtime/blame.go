package runtime

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"

	"mnnconv/graph"
	"mnnconv/partition"
)

// ErrValues: a plan made values at one of its boundaries that their reader cannot
// use: no numbers, infinite ones, or ones over its range.
var ErrValues = errors.New("bad values")

// boundaryError is an ErrValues at one boundary, and which node is to blame.
type boundaryError struct {
	odd   *partition.OddError
	at    string // the boundary
	blame string // empty: nobody looked
}

func (e *boundaryError) Error() string {
	if e.blame == "" {
		return fmt.Sprintf("%v: %s: %v", ErrValues, e.at, e.odd)
	}
	return fmt.Sprintf("%v: %s; seen at the boundary %s: %v", ErrValues, e.blame, e.at, e.odd)
}

func (e *boundaryError) Unwrap() []error { return []error{ErrValues, partition.ErrContract, e.odd} }

// blamed returns err, or, where a boundary was found to hold odd values, the error
// that names the first node that makes them too.
func (f *frame) blamed(ctx context.Context, inputs []*graph.Tensor, err error) error {
	var at *boundaryError
	if !errors.As(err, &at) {
		return err
	}
	r := &rerun{f: f, ctx: ctx, odd: at.odd, bound: map[*graph.Value]Bound{}, last: map[*graph.Value]int{}, root: map[*graph.Value]*graph.Value{}}
	again := r.run(inputs)
	again = errors.Join(again, r.close())
	blamed := *at
	switch {
	case again != nil:
		blamed.blame = fmt.Sprintf("the first node was not found, since a second run failed: %v", again)
	case r.blame == "":
		blamed.blame = "no node makes such values when run alone a second time"
	default:
		blamed.blame = r.blame
	}
	return &blamed
}

// rerun is a second run of a frame, kernel by kernel on the devices that the plan
// names, each a partition of its own whose results are brought to the host. It
// writes the same rows into the states again. A value's memory goes with its last
// reader.
type rerun struct {
	f     *frame
	ctx   context.Context
	odd   *partition.OddError
	bound map[*graph.Value]Bound
	held  []held
	last  map[*graph.Value]int          // step at which a value is read last, by its root
	root  map[*graph.Value]*graph.Value // of views: the value whose memory they have
	step  int
	worse string // a node that makes infinities, before one that makes NaN
	blame string
}

// held is what has to be closed when a value is not read any more.
type held struct {
	values []*graph.Value
	closer []io.Closer
}

func (r *rerun) run(inputs []*graph.Tensor) error {
	plan := r.f.s.e.plan
	r.lifetimes()
	for i, v := range plan.Graph.Inputs {
		if inputs[i] == nil {
			r.bound[v], _ = r.f.s.state(v.Name)
			continue
		}
		if err := r.upload(v, inputs[i]); err != nil {
			return err
		}
	}
	for _, s := range plan.Steps {
		if s.Copy != nil {
			t, err := r.download(r.bound[s.Copy.Inputs[0]])
			if err != nil {
				return err
			}
			if err := r.upload(s.Copy.Outputs[0], t); err != nil {
				return err
			}
			if err := r.next(); err != nil {
				return err
			}
			continue
		}
		for i := range s.Partition.Kernels {
			if err := r.kernel(s.Partition, &s.Partition.Kernels[i]); err != nil || r.blame != "" {
				return err
			}
			if err := r.next(); err != nil {
				return err
			}
		}
	}
	return nil
}

// lifetimes numbers copies and kernels and finds the last reader of every value.
func (r *rerun) lifetimes() {
	step := 0
	read := func(v *graph.Value) { r.last[r.rootOf(v)] = step }
	for _, s := range r.f.s.e.plan.Steps {
		if s.Copy != nil {
			read(s.Copy.Inputs[0])
			read(s.Copy.Outputs[0])
			step++
			continue
		}
		for _, k := range s.Partition.Kernels {
			for _, n := range k.Nodes {
				n.Reads(read)
			}
			for i, v := range k.Out {
				if (i == 0 && k.View || i < k.InPlace) && k.In[i] != nil {
					r.root[v] = r.rootOf(k.In[i])
				}
			}
			for _, v := range k.Out {
				if v != nil {
					read(v)
				}
			}
			step++
		}
	}
}

func (r *rerun) rootOf(v *graph.Value) *graph.Value {
	if root := r.root[v]; root != nil {
		return root
	}
	return v
}

// next ends a step and releases what was read last in it.
func (r *rerun) next() error {
	r.step++
	var errs []error
	kept := r.held[:0]
	for _, h := range r.held {
		alive := false
		for _, v := range h.values {
			alive = alive || r.last[r.rootOf(v)] >= r.step
		}
		if alive {
			kept = append(kept, h)
			continue
		}
		errs = append(errs, h.close())
	}
	r.held = kept
	return errors.Join(errs...)
}

func (h held) close() error {
	var errs []error
	for _, c := range h.closer {
		errs = append(errs, c.Close())
	}
	return errors.Join(errs...)
}

func (r *rerun) close() error {
	var errs []error
	for i := len(r.held) - 1; i >= 0; i-- {
		errs = append(errs, r.held[i].close())
	}
	return errors.Join(errs...)
}

// device returns the device whose memory a space is.
func (r *rerun) device(space graph.Space) (Device, error) {
	d := r.f.s.e.devices[string(space)]
	if d == nil {
		return nil, fmt.Errorf("%w: %s was not opened", ErrUnavailable, space)
	}
	return d, nil
}

// upload gives a value memory of its own in its space.
func (r *rerun) upload(v *graph.Value, t *graph.Tensor) error {
	if !t.Flat() {
		r.bound[v] = Bound{Held: t, DType: t.DType, Shape: t.Shape}
		return nil
	}
	d, err := r.device(v.Type.Space)
	if err != nil {
		return err
	}
	size := int64(len(t.Data))
	b, err := d.Alloc(size, DeviceMemory)
	if err != nil {
		return err
	}
	r.held = append(r.held, held{[]*graph.Value{v}, []io.Closer{b}})
	r.bound[v] = Bound{View: View{b, 0, size}, DType: t.DType, Shape: t.Shape}
	return Store(d, r.bound[v].View, t.Data)
}

// download brings a tensor to the host.
func (r *rerun) download(b Bound) (*graph.Tensor, error) {
	if b.Held != nil {
		return b.Held, nil
	}
	if b.View.Buffer == nil {
		return nil, fmt.Errorf("%w: a value has not been made", graph.ErrInvalid)
	}
	d, err := r.device(b.View.Buffer.Space())
	if err != nil {
		return nil, err
	}
	return Fetch(d, b)
}

// kernel runs one kernel as a partition of its own and looks at what it makes.
func (r *rerun) kernel(p *partition.Partition, k *partition.Kernel) error {
	d, err := r.device(p.Space)
	if err != nil {
		return err
	}
	alone := p.Alone(k)
	prog, err := d.Compile(alone)
	if err != nil {
		return err
	}
	h := held{values: alone.Outputs, closer: []io.Closer{prog}}
	launch, outs, err := r.launch(prog, alone)
	if launch != nil {
		h.closer = []io.Closer{launch, prog}
	}
	r.held = append(r.held, h)
	if err != nil {
		return err
	}
	for i, v := range alone.Outputs {
		r.bound[v] = outs[i]
		if r.blame == "" && v.Type.Kind == graph.TensorKind && v.Type.DType.IsFloat() {
			t, err := r.download(outs[i])
			if err != nil {
				return err
			}
			r.judge(p, k, v, partition.Scan(t, r.most(v)))
		}
	}
	return nil
}

func (r *rerun) launch(prog Program, p *partition.Partition) (Launch, []Bound, error) {
	b := Bindings{Memory: &partition.Memory{}}
	for _, v := range p.Inputs {
		b.Inputs = append(b.Inputs, r.bound[v])
	}
	launch, err := prog.Record(b)
	if err != nil {
		return nil, nil, err
	}
	ev, err := launch.Submit(r.ctx, nil)
	if err == nil {
		err = ev.Wait(context.Background())
	}
	if err != nil {
		return launch, nil, err
	}
	outs, err := launch.Outputs()
	return launch, outs, err
}

// most is how large values may be: what the boundary demands where that is the
// matter, else any finite number.
func (r *rerun) most(v *graph.Value) float64 {
	if r.odd.Oddities.Over > 0 && v.Type.DType == graph.Float32 {
		return r.odd.Most
	}
	return math.MaxFloat64
}

// judge decides whether a kernel is the first to make what was found. NaN mostly come
// of infinities: the first one of those is named too.
func (r *rerun) judge(p *partition.Partition, k *partition.Kernel, v *graph.Value, o partition.Oddities) {
	if !o.Any() {
		return
	}
	n := k.Nodes[len(k.Nodes)-1]
	text := fmt.Sprintf("%s (%s%s, partition %d on %s) makes %q, of which %s", n.Label(), n.OpName(), exporters(n), p.Index, p.Target, v.Name, o)
	if w := oddConstants(k); w != "" {
		text += "; " + w
	}
	if r.odd.Oddities.NaN > 0 && o.NaN == 0 {
		if r.worse == "" {
			r.worse = text
		}
		return
	}
	r.blame = text
	if r.worse != "" {
		r.blame += "; before it, " + r.worse
	}
}

// exporters is the exporter's name of a node where that is another one.
func exporters(n *graph.Node) string {
	if n.Name == "" || n.Path == "" || n.Name == n.Path {
		return ""
	}
	return fmt.Sprintf(" %q", n.Name)
}

// oddConstants names the first constant of a kernel that holds odd numbers itself.
func oddConstants(k *partition.Kernel) string {
	for _, n := range k.Nodes {
		for _, v := range n.Inputs {
			if v != nil && v.Const != nil && v.Const.DType.IsFloat() {
				if o := partition.Scan(v.Const, math.MaxFloat64); o.Any() {
					return fmt.Sprintf("its constant %q is at fault: %s", v.Name, o)
				}
			}
		}
	}
	return ""
}
