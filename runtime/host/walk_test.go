package host

import (
	"math/rand/v2"
	"testing"
)

// Any stretch of a walk visits the elements that counting the axes up gives.
func TestWalk(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 500 {
		var w walk
		type place struct{ a, b int }
		places := []place{{}}
		for range r.IntN(maxAxes + 1) {
			n, a, b := r.IntN(4), r.IntN(7)-3, r.IntN(3)
			w.add(n, a, b)
			var next []place
			for _, p := range places {
				for i := range n {
					next = append(next, place{p.a + i*a, p.b + i*b})
				}
			}
			places = next
		}
		if w.elements() != len(places) {
			t.Fatalf("%+v has %d elements, want %d", w, w.elements(), len(places))
		}
		from := r.IntN(len(places) + 1)
		to := from + r.IntN(len(places)-from+1)
		seen := from
		stepA, stepB := w.inner()
		w.each(from, to, func(at, a, b, n int) {
			for i := range n {
				if at+i != seen || (place{a + i*stepA, b + i*stepB}) != places[seen] {
					t.Fatalf("%+v: element %d is visited as %d at %d, %d, want %v", w, seen, at+i, a+i*stepA, b+i*stepB, places[seen])
				}
				seen++
			}
		})
		if seen != to {
			t.Fatalf("%+v: visited %d to %d, want %d", w, from, seen, to)
		}
	}
}
