//go:build cu

package gorgoniacu

import (
	"encoding/binary"
	"errors"
	"fmt"
	"unsafe"

	"gorgonia.org/cu"

	"mnnconv/runtime"
	"mnnconv/runtime/gpu"
)

// sequence is launches with their arguments.
type sequence struct {
	d        *driver
	launches []launch
}

type launch struct {
	function cu.Function
	words    []uint64         // arguments, each at the word of its number
	args     []unsafe.Pointer // to each word
	what     *gpu.Command
}

// Record binds arguments.
func (d *driver) Record(commands []gpu.Command) (gpu.Sequence, error) {
	s := &sequence{d: d, launches: make([]launch, len(commands))}
	for i := range commands {
		c := &commands[i]
		m, ok := d.modules[c.Module]
		if !ok {
			return nil, fmt.Errorf("%s: %w: kernels %s were not loaded", c.Node, runtime.ErrExecution, c.Module)
		}
		l := &s.launches[i]
		l.what = c
		var err error
		if l.function, err = m.Function(c.Kernel); err != nil {
			return nil, fmt.Errorf("%s: kernel %s.%s: %w", c.Node, c.Module, c.Kernel, sentinel(err))
		}
		for j, a := range c.Args {
			value := a.Value
			if a.Memory != nil {
				value = binary.NativeEndian.AppendUint64(nil, uint64(address(a.Memory, a.Offset)))
			}
			if len(value) > 8 && j < len(c.Args)-1 {
				return nil, fmt.Errorf("%s: kernel %s.%s: %w: argument %d has %d bytes: gorgonia.org/cu passes 8: %w", c.Node, c.Module, c.Kernel,
					runtime.ErrExecution, j, len(value), errors.ErrUnsupported)
			}
			l.words = append(l.words, wordsOf(value)...)
		}
		for j := range l.words {
			l.args = append(l.args, unsafe.Pointer(&l.words[j]))
		}
	}
	return s, nil
}

// wordsOf lays a value out in words: at least one. The binding copies word after word
// to one block, and has the driver find argument i at word i, so a last argument may go
// on behind its first word.
func wordsOf(value []byte) []uint64 {
	out := make([]uint64, max(1, (len(value)+7)/8))
	copy(unsafe.Slice((*byte)(unsafe.Pointer(&out[0])), 8*len(out)), value)
	return out
}

// Submit queues the launches.
func (s *sequence) Submit() error {
	for i := range s.launches {
		l := &s.launches[i]
		g := l.what.Groups
		if err := l.function.Launch(g[0], g[1], g[2], l.what.Size, 1, 1, 0, s.d.queue, l.args); err != nil {
			return fmt.Errorf("%s: kernel %s.%s: %w", l.what.Node, l.what.Module, l.what.Kernel, sentinel(err))
		}
	}
	return nil
}

// Close has nothing to release.
func (s *sequence) Close() error { return nil }
