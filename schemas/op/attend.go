package op

import (
	"math"

	"mnnconv/graph"
)

// attend is scaled dot-product attention, the common part of the operators
// that are named after it: for every query, softmax(scale·q·kᵀ + bias)·v over
// the keys it may see.
type attend[T floating] struct {
	q, k, v, y    []T
	qAt, kAt, vAt heads // of queries, keys and values; several query heads may share one of these
	yAt           heads // of the result, as qAt with vectors as long as those of v
	scale         T
	softcap       T                               // 0: none
	span          func(b, i int) (lo, hi int)     // keys that query i may see; nil: all
	bias          func(b, h, i, lo int, s []T)    // adds to the scores of keys lo, lo+1, …; -Inf hides a key; nil: none
	seen          func(stage, b, h, i int, s []T) // gets the scores of all keys after each stage; nil: nobody asks
}

// Stages of the scores, as numbered by ONNX Attention's qk_matmul_output_mode.
const (
	afterProduct = iota
	afterSoftcap
	afterBias
	afterSoftmax
)

// check reports shapes that do not go together. The pasts, if any, are those
// that the keys and values begin with, [batch, heads, rows, size].
func (a *attend[T]) check(pastK, pastV *graph.Tensor) error {
	switch q, k, v := a.qAt, a.kAt, a.vAt; {
	case pastK != nil && pastK.Shape[2] != pastV.Shape[2]:
		return inputErrorf("pasts of %d keys and %d values", pastK.Shape[2], pastV.Shape[2])
	case k.batch != q.batch || v.batch != q.batch:
		return inputErrorf("batches of %d queries, %d keys and %d values", q.batch, k.batch, v.batch)
	case k.rows != v.rows:
		return inputErrorf("%d keys and %d values", k.rows, v.rows)
	case k.size != q.size:
		return inputErrorf("queries of %d elements and keys of %d", q.size, k.size)
	case k.heads != v.heads || k.heads < 1 || q.heads%k.heads != 0:
		return inputErrorf("%d query heads over %d key and %d value heads", q.heads, k.heads, v.heads)
	}
	return nil
}

// into computes the attention over the given tensors as output 0, of the dtype
// of q and the given shape, which yAt describes.
func (a *attend[T]) into(c *Call, q, k, v *graph.Tensor, shape []int64) error {
	var err error
	if a.q, err = elementsAs[T](q); err != nil {
		return err
	}
	if a.k, err = elementsAs[T](k); err != nil {
		return err
	}
	if a.v, err = elementsAs[T](v); err != nil {
		return err
	}
	out, err := c.New(0, q.DType, shape...)
	if err != nil {
		return err
	}
	a.y = accumulator[T](out)
	if err := a.run(c); err != nil {
		return err
	}
	return finish(out, a.y)
}

// run computes y. A query that sees no key, or whose scores are all -Inf, gives
// zeros. Keys of weight 0 are left out, so that unused cache rows may hold anything.
func (a *attend[T]) run(c *Call) error {
	keys := a.kAt.rows
	if len(a.y) == 0 && (a.seen == nil || keys == 0 || a.qAt.rows == 0) {
		return nil
	}
	s := make([]T, keys)
	for b := range a.qAt.batch {
		for h := range a.qAt.heads {
			if err := c.Ctx.Err(); err != nil {
				return err
			}
			shared := h / (a.qAt.heads / a.kAt.heads)
			for i := range a.qAt.rows {
				lo, hi := 0, keys
				if a.span != nil {
					lo, hi = a.span(b, i)
					lo = min(max(lo, 0), keys)
					hi = max(lo, min(hi, keys))
				}
				a.weigh(s, b, h, shared, i, lo, hi)
				y := a.y[a.yAt.at(b, h, i):][:a.yAt.size]
				for j := lo; j < hi; j++ {
					if p := s[j]; p != 0 {
						for d, v := range a.v[a.vAt.at(b, shared, j):][:len(y)] {
							y[d] += T(p * v)
						}
					}
				}
			}
		}
	}
	return nil
}

// weigh leaves the weights of the keys lo to hi for one query in s.
func (a *attend[T]) weigh(s []T, b, h, shared, i, lo, hi int) {
	from, to := lo, hi
	if a.seen != nil {
		from, to = 0, len(s)
	}
	q := a.q[a.qAt.at(b, h, i):][:a.qAt.size]
	if from < to {
		dots(s[from:to], q, a.k[a.kAt.at(b, shared, from):], a.kAt.rowStep, to-from)
	}
	for j := from; j < to; j++ {
		s[j] *= a.scale
	}
	a.show(afterProduct, b, h, i, s)
	if a.softcap != 0 {
		for j := from; j < to; j++ {
			s[j] = a.softcap * T(math.Tanh(float64(s[j]/a.softcap)))
		}
	}
	a.show(afterSoftcap, b, h, i, s)
	if a.bias != nil {
		a.bias(b, h, i, from, s[from:to])
	}
	if a.seen != nil {
		fill(s[:lo], T(math.Inf(-1)))
		fill(s[hi:], T(math.Inf(-1)))
	}
	a.show(afterBias, b, h, i, s)
	softmaxRow(s[lo:hi])
	if a.seen != nil {
		clear(s[:lo])
		clear(s[hi:])
	}
	a.show(afterSoftmax, b, h, i, s)
}

func (a *attend[T]) show(stage, b, h, i int, s []T) {
	if a.seen != nil {
		a.seen(stage, b, h, i, s)
	}
}

// softmaxRow replaces scores by weights that sum to 1, or by zeros if all
// scores are -Inf.
func softmaxRow[T floating](s []T) {
	top := T(math.Inf(-1))
	for _, v := range s {
		top = max(top, v)
	}
	if math.IsInf(float64(top), -1) {
		clear(s)
		return
	}
	var sum T
	for j, v := range s {
		s[j] = T(math.Exp(float64(v - top)))
		sum += s[j]
	}
	for j := range s {
		s[j] /= sum
	}
}

// maskBias returns the bias of an attention mask that broadcasts to [batch,
// heads, queries, keys], where the last axis may be short: keys past it are
// hidden. Bool masks hide where they are false, others are added.
func maskBias[T floating](mask *graph.Tensor, q heads, keys int) (func(b, h, i, lo int, s []T), error) {
	if mask == nil {
		return nil, nil
	}
	rank := len(mask.Shape)
	if rank < 1 || rank > 4 || mask.Shape[rank-1] > int64(keys) {
		return nil, inputErrorf("a mask of shape %v for %d keys", mask.Shape, keys)
	}
	width := int(mask.Shape[rank-1])
	var steps [3]int // along batch, heads, queries
	size := width
	for i, want := range [3]int{q.rows, q.heads, q.batch} {
		d := rank - 2 - i
		if d < 0 || mask.Shape[d] == 1 {
			continue
		}
		if mask.Shape[d] != int64(want) {
			return nil, inputErrorf("a mask of shape %v for [%d, %d, %d, %d]", mask.Shape, q.batch, q.heads, q.rows, keys)
		}
		steps[2-i] = size
		size *= want
	}
	hidden := T(math.Inf(-1))
	var v []T
	if mask.DType != graph.Bool {
		var err error
		if v, err = elementsAs[T](mask); err != nil {
			return nil, err
		}
	}
	return func(b, h, i, lo int, s []T) {
		at := b*steps[0] + h*steps[1] + i*steps[2] + lo
		for j := range s {
			switch {
			case lo+j >= width, v == nil && mask.Data[at+j] == 0, v != nil && v[at+j] == hidden:
				s[j] = hidden
			case v != nil:
				s[j] += v[at+j]
			}
		}
	}, nil
}

func fill[T any](s []T, v T) {
	for i := range s {
		s[i] = v
	}
}
