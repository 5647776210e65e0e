package host

import "slices"

// layout assigns offsets in one arena: best fit among freed stretches,
// neighbours merged, growing at the end.
type layout struct {
	align int64
	size  int64   // bytes needed so far
	free  []chunk // by offset, never adjacent
	used  map[int64]int64
}

type chunk struct{ off, size int64 }

// take reserves size bytes and returns their offset.
func (l *layout) take(size int64) int64 {
	size = (max(size, 1) + l.align - 1) / l.align * l.align
	best := -1
	for i, c := range l.free {
		if c.size >= size && (best < 0 || c.size < l.free[best].size) {
			best = i
		}
	}
	var off int64
	switch {
	case best >= 0:
		off = l.free[best].off
		l.free[best].off += size
		l.free[best].size -= size
		if l.free[best].size == 0 {
			l.free = slices.Delete(l.free, best, best+1)
		}
	case len(l.free) > 0 && l.free[len(l.free)-1].off+l.free[len(l.free)-1].size == l.size:
		off = l.free[len(l.free)-1].off // grow the stretch at the end
		l.free = l.free[:len(l.free)-1]
		l.size = off + size
	default:
		off = l.size
		l.size += size
	}
	if l.used == nil {
		l.used = map[int64]int64{}
	}
	l.used[off] = size
	return off
}

// give returns a stretch.
func (l *layout) give(off int64) {
	c := chunk{off, l.used[off]}
	delete(l.used, off)
	i, _ := slices.BinarySearchFunc(l.free, c, func(a, b chunk) int { return int(a.off - b.off) })
	l.free = slices.Insert(l.free, i, c)
	if i+1 < len(l.free) && c.off+c.size == l.free[i+1].off {
		l.free[i].size += l.free[i+1].size
		l.free = slices.Delete(l.free, i+1, i+2)
	}
	if i > 0 && l.free[i-1].off+l.free[i-1].size == l.free[i].off {
		l.free[i-1].size += l.free[i].size
		l.free = slices.Delete(l.free, i, i+1)
	}
}
