package gputest

import (
	"fmt"

	"mnnconv/graph"
)

// testState covers attention over caches with what brings a step to them as one kernel:
// queries and keys that are turned, keys and values that are written behind those that are
// there, some of which do not fit.
func testState(l *lab) {
	perm := attr("perm", []int64{0, 2, 1, 3})
	for i, c := range []struct{ batch, heads, kv, rows, keys, size, turned, from int64 }{
		{1, 4, 2, 1, 260, 64, 64, 200}, {1, 16, 2, 1, 90, 128, 128, 64}, {2, 6, 2, 5, 130, 32, 24, 100}, {1, 2, 1, 17, 70, 128, 128, 30}, {2, 4, 4, 3, 66, 20, 20, 63},
		{1, 2, 2, 16, 64, 64, 64, 0}, {1, 2, 1, 0, 9, 32, 32, 4}, {1, 2, 2, 4, 70, 64, 64, 68}, {1, 8, 1, 2, 1100, 32, 32, 1090},
	} {
		for j, d := range floatTypes {
			l.begin()
			heads := func(n int64) *graph.Value {
				return l.node("Transpose", []*graph.Value{l.input(l.random(d, c.batch, c.rows, n, c.size))}, perm)
			}
			cosines, sines := l.input(l.random(d, c.batch, c.rows, c.turned/2)), l.input(l.random(d, c.batch, c.rows, c.turned/2))
			turn := func(x *graph.Value) *graph.Value {
				return l.node("RotaryEmbedding", []*graph.Value{x, cosines, sines}, attr("interleaved", int64((i+j)%2)), attr("rotary_embedding_dim", c.turned%c.size))
			}
			start, lengths := make([]int64, c.batch), make([]int64, c.batch)
			for b := range start {
				start[b] = max(0, c.from-int64(b)*40)
				lengths[b] = min(start[b]+c.rows, c.keys)
			}
			at := l.input(ints(start...))
			mode := attr("mode", []string{"linear", "circular"}[i/7%2])
			q := turn(heads(c.heads))
			k := l.node("TensorScatter", []*graph.Value{l.input(l.random(d, c.batch, c.kv, c.keys, c.size)), turn(heads(c.kv)), at}, mode)
			v := l.node("TensorScatter", []*graph.Value{l.input(l.random(d, c.batch, c.kv, c.keys, c.size)), heads(c.kv), at}, mode)
			y := l.node("Attention", []*graph.Value{q, k, v, nil, nil, nil, l.input(ints(lengths...))}, attr("is_causal", int64(1)))
			y = l.node("Transpose", []*graph.Value{y}, perm)
			l.differ(fmt.Sprintf("step over a state of %s, %+v", d, c), 1, 2*tolerance[d], y, k, v)
		}
	}
}
