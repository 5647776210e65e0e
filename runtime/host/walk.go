package host

// walk goes over all elements of a shape in row-major order, alongside two
// tensors a and b, in each of which one step along an axis is some number of
// elements: 0 where a tensor repeats. Axes that are one walk are joined. The zero
// value has one element.
type walk struct {
	axes [maxAxes]axis
	rank int
	n    int // elements less one, so that the zero value counts
}

type axis struct{ n, a, b int }

// maxAxes is how many axes a kernel takes; the reference takes more.
const maxAxes = 8

// add appends an axis of n elements inside the axes so far.
func (w *walk) add(n, a, b int) {
	w.n = (w.n+1)*n - 1
	if n == 1 {
		return
	}
	if w.rank > 0 {
		if last := &w.axes[w.rank-1]; last.a == n*a && last.b == n*b {
			*last = axis{last.n * n, a, b}
			return
		}
	}
	w.axes[w.rank] = axis{n, a, b}
	w.rank++
}

// elements returns how many there are.
func (w *walk) elements() int { return w.n + 1 }

// inner returns the steps within a run of [walk.each].
func (w *walk) inner() (a, b int) {
	if w.rank == 0 {
		return 0, 0
	}
	last := w.axes[w.rank-1]
	return last.a, last.b
}

// each calls f for the elements from to to, in runs of n along the innermost
// axis: the first one is element at of the walk, a of a and b of b.
func (w *walk) each(from, to int, f func(at, a, b, n int)) {
	if from >= to {
		return
	}
	if w.rank == 0 {
		f(0, 0, 0, 1)
		return
	}
	var index [maxAxes]int
	a, b := 0, 0
	for d, rest := w.rank-1, from; d >= 0; d-- {
		x := w.axes[d]
		index[d], rest = rest%x.n, rest/x.n
		a, b = a+index[d]*x.a, b+index[d]*x.b
	}
	last := w.rank - 1
	in := w.axes[last]
	for at := from; ; {
		i := index[last]
		n := min(in.n-i, to-at)
		f(at, a, b, n)
		if at += n; at == to {
			return
		}
		a, b, index[last] = a-i*in.a, b-i*in.b, 0
		for d := last - 1; ; d-- {
			x := w.axes[d]
			a, b = a+x.a, b+x.b
			if index[d]++; index[d] < x.n {
				break
			}
			a, b, index[d] = a-x.n*x.a, b-x.n*x.b, 0
		}
	}
}
