//go:build linux && !nogpu

package cuda

import (
	"encoding/binary"
	"errors"
	"fmt"

	"mnnconv/runtime"
	"mnnconv/runtime/cuda/driver"
	"mnnconv/runtime/gpu"
)

// sequence is launches with their arguments bound. What is submitted once is
// launched one by one; what comes again, as a decode step does, is recorded then and
// is one launch from there on.
type sequence struct {
	d        *device
	launches []launch
	submits  int
	graph    driver.Graph // 0: not recorded yet
}

type launch struct {
	function      driver.Function
	groups, items [3]int
	args          *driver.Args
	node          string
	product       *ltLaunch // unless nil, this instead of a kernel
}

// Record binds arguments.
func (d *device) Record(commands []gpu.Command) (gpu.Sequence, error) {
	s := &sequence{d: d, launches: make([]launch, len(commands))}
	for i, c := range commands {
		if c.Product != nil {
			p, err := d.lt.bind(&c)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", c.Node, err)
			}
			s.launches[i] = launch{node: c.Node, product: p}
			continue
		}
		f, err := d.function(c.Module, c.Kernel)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", c.Node, err)
		}
		args := make([][]byte, len(c.Args))
		for j, a := range c.Args {
			switch {
			case a.Memory != nil:
				args[j] = binary.NativeEndian.AppendUint64(nil, uint64(address(a.Memory))+uint64(a.Offset))
			case a.Value == nil:
				args[j] = make([]byte, 8)
			default:
				args[j] = a.Value
			}
		}
		if c.Groups[1] > 65535 || c.Groups[2] > 65535 {
			return nil, fmt.Errorf("%s: %w: %s in %v groups", c.Node, runtime.ErrExecution, c.Kernel, c.Groups)
		}
		s.launches[i] = launch{function: f, groups: c.Groups, items: [3]int{c.Size, 1, 1}, args: driver.NewArgs(args), node: c.Node}
	}
	return s, nil
}

// Submit queues the launches.
func (s *sequence) Submit() error {
	d := s.d
	s.submits++
	if s.submits == 2 {
		if err := s.capture(); err != nil {
			return err
		}
	}
	if s.graph == 0 {
		d.books.Kernels += len(s.launches)
		return s.launch()
	}
	d.books.Graphs++
	return d.sentinel(d.ctx.LaunchGraph(s.graph, d.stream))
}

func (s *sequence) launch() error {
	for i := range s.launches {
		l := &s.launches[i]
		if l.product != nil {
			if err := s.d.lt.launch(l.product, s.d.stream); err != nil {
				return fmt.Errorf("%s: %w: %s: %w", l.node, runtime.ErrExecution, s.d.name, err)
			}
			continue
		}
		if err := s.d.ctx.Launch(l.function, l.groups, l.items, 0, s.d.stream, l.args); err != nil {
			return fmt.Errorf("%s: %w", l.node, s.d.sentinel(err))
		}
	}
	return nil
}

// capture records the launches as a graph.
func (s *sequence) capture() error {
	d := s.d
	if err := d.ctx.Capture(d.stream); err != nil {
		return d.sentinel(err)
	}
	launched := s.launch()
	g, nodes, err := d.ctx.Captured(d.stream)
	if err := errors.Join(launched, d.sentinel(err)); err != nil {
		return err
	}
	if nodes < len(s.launches) {
		return fmt.Errorf("%w: %s: %d of %d launches were recorded", runtime.ErrExecution, d.name, nodes, len(s.launches))
	}
	s.graph = g
	return nil
}

// Close releases the recording.
func (s *sequence) Close() error {
	if s.graph == 0 || s.d.ctx.Lost() {
		return nil
	}
	g := s.graph
	s.graph = 0
	return s.d.sentinel(s.d.ctx.CloseGraph(g))
}
