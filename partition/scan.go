package partition

import (
	"fmt"
	"math"
	"strings"

	"mnnconv/graph"
)

// Oddities are the elements of a float tensor that a reader cannot use.
type Oddities struct {
	NaN, Inf, Over int // Over: finite, and further from 0 than allowed
	Of             int // elements in all
	First          int // index of the first odd one
	Value          float64
}

// Any reports whether there is one.
func (o Oddities) Any() bool { return o.NaN+o.Inf+o.Over > 0 }

// String says how many there are, of what, and which is the first:
// "17 of 4096 values are NaN, the first is element 12".
func (o Oddities) String() string {
	var are []string
	for _, k := range []struct {
		n    int
		what string
	}{{o.NaN, "NaN"}, {o.Inf, "infinite"}, {o.Over, "too large"}} {
		if k.n > 0 {
			are = append(are, fmt.Sprintf("%d of %d values are %s", k.n, o.Of, k.what))
		}
	}
	return fmt.Sprintf("%s; the first, element %d is %v", strings.Join(are, ", "), o.First, o.Value)
}

// Scan looks for elements of a float tensor that are no numbers, infinite, or
// further from 0 than most. Tensors of other dtypes have none. Where there is
// nothing to find it costs a fraction of reading the elements one by one: eight
// bytes are looked at together.
func Scan(t *graph.Tensor, most float64) Oddities {
	if t.Kind != graph.TensorKind {
		return Oddities{}
	}
	switch t.DType {
	case graph.Float32:
		limit := uint64(math.Float32bits(float32(min(most, math.MaxFloat32))))
		if float64(math.Float32frombits(uint32(limit))) > most { // most lies between two numbers
			limit--
		}
		if v := graph.View[float32](t); overWords(t.Data, 32, limit) {
			return count(len(v), most, func(i int) float64 { return float64(v[i]) })
		}
	case graph.Float16:
		if v := graph.View[uint16](t); overWords(t.Data, 16, halfLimit(graph.F32ToF16, graph.F16ToF32, most, graph.Float16.Largest())) {
			return count(len(v), most, func(i int) float64 { return float64(graph.F16ToF32(v[i])) })
		}
	case graph.BFloat16:
		if v := graph.View[uint16](t); overWords(t.Data, 16, halfLimit(graph.F32ToBF16, graph.BF16ToF32, most, graph.BFloat16.Largest())) {
			return count(len(v), most, func(i int) float64 { return float64(graph.BF16ToF32(v[i])) })
		}
	case graph.Float64:
		v := graph.View[float64](t)
		return count(len(v), most, func(i int) float64 { return v[i] })
	}
	return Oddities{}
}

// halfLimit returns the bits of the largest number of 16 bits that is at most most.
func halfLimit(narrow func(float32) uint16, widen func(uint16) float32, most, largest float64) uint64 {
	h := narrow(float32(min(most, largest)))
	if float64(widen(h)) > most {
		h--
	}
	return uint64(h)
}

// overWords reports whether a float of width bits in data is over the number whose
// bits are limit, in magnitude; infinities and NaN are, as their bits are larger.
// Adding the distance from the limit to the sign's bit sets that bit in those alone;
// no sum carries into its neighbour, since the signs were masked out.
func overWords(data []byte, width int, limit uint64) bool {
	var magnitude, distance, sign uint64
	for at := 0; at < 64; at += width {
		magnitude |= (uint64(1)<<(width-1) - 1) << at
		distance |= (uint64(1)<<(width-1) - 1 - limit) << at
		sign |= uint64(1) << (at + width - 1)
	}
	words := len(data) / 8
	v := graph.ViewBytes[uint64](data[:words*8])
	var a, b, c, d uint64
	for ; len(v) >= 4; v = v[4:] {
		a |= v[0]&magnitude + distance
		b |= v[1]&magnitude + distance
		c |= v[2]&magnitude + distance
		d |= v[3]&magnitude + distance
	}
	for _, x := range v {
		a |= x&magnitude + distance
	}
	var rest [8]byte // zeros are in every range
	copy(rest[:], data[words*8:])
	a |= graph.ViewBytes[uint64](rest[:])[0]&magnitude + distance
	return (a|b|c|d)&sign != 0
}

// count goes through the elements one by one.
func count(n int, most float64, at func(int) float64) Oddities {
	o := Oddities{Of: n}
	for i := range n {
		x := at(i)
		switch {
		case x <= most && -x <= most:
			continue
		case !o.Any():
			o.First, o.Value = i, x
		}
		switch {
		case math.IsNaN(x):
			o.NaN++
		case math.IsInf(x, 0):
			o.Inf++
		default:
			o.Over++
		}
	}
	return o
}
