package gputest

import (
	"bytes"
	"errors"
	"fmt"

	"mnnconv/runtime/gpu"
)

// guarded is a driver that looks after every launch whether it wrote where it must not:
// anywhere in the device's memory but in its arguments.
type guarded struct {
	gpu.Driver
	alive map[*guardedMemory]bool
}

// Guard wraps a driver so.
func Guard(d gpu.Driver) gpu.Driver { return &guarded{d, map[*guardedMemory]bool{}} }

// guardedMemory is full of a pattern when it is handed out.
type guardedMemory struct {
	gpu.Memory
	g *guarded
}

const pattern = 0xA5

func (m *guardedMemory) Close() error {
	delete(m.g.alive, m)
	return m.Memory.Close()
}

func (g *guarded) Alloc(size int64) (gpu.Memory, error) {
	m, err := g.Driver.Alloc(size)
	if err != nil {
		return nil, err
	}
	p, err := g.Driver.Pin(size)
	if err != nil {
		return nil, err
	}
	copy(p.Bytes(), bytes.Repeat([]byte{pattern}, int(size)))
	out := &guardedMemory{m, g}
	g.alive[out] = true
	return out, errors.Join(g.Driver.Upload(m, 0, p, 0, size), g.Driver.Sync(), p.Close())
}

func inner(m gpu.Memory) gpu.Memory { return m.(*guardedMemory).Memory }

func (g *guarded) Zero(dst gpu.Memory, at, size int64) error {
	return g.Driver.Zero(inner(dst), at, size)
}

func (g *guarded) Upload(dst gpu.Memory, at int64, src gpu.Pinned, from, size int64) error {
	return g.Driver.Upload(inner(dst), at, src, from, size)
}

func (g *guarded) Download(dst gpu.Pinned, at int64, src gpu.Memory, from, size int64) error {
	return g.Driver.Download(dst, at, inner(src), from, size)
}

func (g *guarded) Copy(dst gpu.Memory, at int64, src gpu.Memory, from, size int64) error {
	return g.Driver.Copy(inner(dst), at, inner(src), from, size)
}

// Multiplies passes the driver's library on, if there is one.
func (g *guarded) Multiplies(p gpu.Product) (int64, bool, error) {
	if m, ok := g.Driver.(gpu.Multiplier); ok {
		return m.Multiplies(p)
	}
	return 0, false, nil
}

// guardedSequence submits one launch after the other.
type guardedSequence struct {
	g        *guarded
	commands []gpu.Command // as they came
	each     []gpu.Sequence
}

func (g *guarded) Record(commands []gpu.Command) (gpu.Sequence, error) {
	s := &guardedSequence{g: g, commands: commands}
	for _, c := range commands {
		args := make([]gpu.Arg, len(c.Args))
		for i, a := range c.Args {
			if a.Memory != nil {
				a.Memory = inner(a.Memory)
			}
			args[i] = a
		}
		c.Args = args
		one, err := g.Driver.Record([]gpu.Command{c})
		if err != nil {
			return nil, errors.Join(err, s.Close())
		}
		s.each = append(s.each, one)
	}
	return s, nil
}

func (s *guardedSequence) Submit() error {
	for i, one := range s.each {
		before, err := s.g.snapshot()
		if err != nil {
			return err
		}
		if err := errors.Join(one.Submit(), s.g.Driver.Sync()); err != nil {
			return err
		}
		after, err := s.g.snapshot()
		if err != nil {
			return err
		}
		c := &s.commands[i]
		for _, a := range c.Args {
			if m, ok := a.Memory.(*guardedMemory); ok {
				copy(before[m][a.Offset:a.Offset+a.Bytes], after[m][a.Offset:])
			}
		}
		for m, b := range before {
			for k := range b {
				if b[k] != after[m][k] {
					return fmt.Errorf("%s: %s.%s wrote at byte %d of memory of %d bytes, which is in none of its arguments", c.Node, c.Module, c.Kernel, k, len(b))
				}
			}
		}
	}
	return nil
}

func (s *guardedSequence) Close() error {
	var errs []error
	for _, one := range s.each {
		errs = append(errs, one.Close())
	}
	return errors.Join(errs...)
}

// snapshot reads all memory.
func (g *guarded) snapshot() (map[*guardedMemory][]byte, error) {
	out := map[*guardedMemory][]byte{}
	for m := range g.alive {
		p, err := g.Driver.Pin(m.Size())
		if err != nil {
			return nil, err
		}
		if err := errors.Join(g.Driver.Download(p, 0, m.Memory, 0, m.Size()), g.Driver.Sync()); err != nil {
			return nil, err
		}
		out[m] = bytes.Clone(p.Bytes())
		if err := p.Close(); err != nil {
			return nil, err
		}
	}
	return out, nil
}
