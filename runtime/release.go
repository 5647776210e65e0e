package runtime

import (
	"errors"
	"fmt"
	"slices"

	"mnnconv/partition"
)

// program returns a partition's program, compiled anew if it was released.
func (e *Executor) program(p *partition.Partition) (Program, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if prog := e.programs[p]; prog != nil {
		return prog, nil
	}
	d := e.devices[p.Target]
	if d == nil {
		return nil, fmt.Errorf("%w: %s was planned and not opened", ErrUnavailable, p.Target)
	}
	compiling := e.trace.Begin(compileLabel(e.trace, e.plan.Phase, p))
	prog, err := d.Compile(p)
	compiling.End()
	if err != nil {
		return nil, fmt.Errorf("partition %d on %s: %w", p.Index, p.Target, err)
	}
	e.trace.Grow(string(p.Space), constantsMemory, e.plan.ConstantBytes(p))
	e.programs[p] = prog
	return prog, nil
}

// begin notes a run, during which no program is released.
func (e *Executor) begin() {
	e.mu.Lock()
	e.running++
	e.mu.Unlock()
}

// end ends a session's run: its launches of the partitions that the policy releases
// go, and with the last run under way their programs, weights included.
func (e *Executor) end(s *Session) error {
	var errs []error
	for _, p := range e.released {
		for _, f := range s.frames {
			i := slices.IndexFunc(f.l.steps, func(s step) bool { return s.Partition == p })
			errs = append(errs, f.launch[i].close())
		}
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.running--; e.running > 0 {
		return errors.Join(errs...)
	}
	for _, p := range e.released {
		if prog := e.programs[p]; prog != nil {
			delete(e.programs, p)
			errs = append(errs, prog.Close())
			e.trace.Grow(string(p.Space), constantsMemory, -e.plan.ConstantBytes(p))
		}
	}
	return errors.Join(errs...)
}
