package host

import (
	"math"
	"slices"
)

const (
	topRanges = 256
	// topMore is how many elements more than K are sorted.
	topMore = 64
)

// narrow ranks a row that has too few blocks for a bound. Its numbers are counted by ranges of
// equal width, the highest first, and those of as many ranges as hold the K best are
// sorted: they come out of the ranges nearly in order. ok is false where ranges do not
// tell numbers apart (NaN, infinities, one that is far from the others): nothing is ranked then.
func (k topRows) narrow(w *Worker, i int, at []int64) (ok bool) {
	x := floatsOf(k.x, i*k.width, w.Floats(k.width))
	high, low := slices.Max(k.largest[i*k.blocks:][:k.blocks]), x[0]
	for _, v := range x {
		if v < low {
			low = v
		}
	}
	scale := (topRanges - 1) / (high - low)
	if !(scale > 0) || math.IsInf(float64(scale), 0) || high-low > math.MaxFloat32 {
		return false
	}
	var first [topRanges]int32 // of each range: how many are in it, then where its next goes
	ranges := w.Bytes(k.width)
	for j, v := range x { // rounding keeps the order: equal numbers are in one range
		r := uint8((high - v) * scale)
		ranges[j] = r
		first[r]++
	}
	all, last := int32(0), 0
	for ; int(all) < k.k; last++ {
		all, first[last] = all+first[last], all
	}
	var values [mostTop + topMore]float32
	var order [mostTop + topMore]int64
	if int(all) > k.k+topMore {
		return false
	}
	for j, r := range ranges {
		if int(r) < last {
			n := first[r]
			first[r], values[n], order[n] = n+1, x[j], int64(j)
		}
	}
	for n := 1; n < int(all); n++ {
		for m := n; m > 0 && values[m] > values[m-1]; m-- {
			values[m], values[m-1], order[m], order[m-1] = values[m-1], values[m], order[m-1], order[m]
		}
	}
	copy(at, order[:])
	return true
}
