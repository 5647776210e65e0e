package main

import (
	"hash/crc64"
	"math"
	goruntime "runtime"
	"slices"
	"strings"
	"sync"

	"mnnconv/graph"
)

// deviation is the standard deviation of weights: that of Qwen2.5-VL before its
// training (initializer_range). With norms of ones, activations then stay far
// inside the range of float16. That of the last products, to logits and to image
// rows, is a quarter: every float16 implementation rounds activations where it
// stores them, and after 36 layers what comes out of two of them differs by 3 % of
// its own deviation at worst, which is to be less than 0.01.
const deviation = 0.02

var last = []string{headWeight, "v.merger.mlp.2.weight"}

// noise makes normally distributed float16 numbers that depend on a name alone.
type noise struct {
	wide, narrow quantiles
	tied         bool // the head is the table, transposed
}

// quantiles are those of a normal distribution, as float16.
type quantiles [1 << 16]uint16

func newNoise(tied bool) *noise {
	n := &noise{tied: tied}
	for i := range n.wide {
		p := (float64(i) + 0.5) / float64(len(n.wide))
		x := deviation * math.Sqrt2 * math.Erfinv(2*p-1)
		n.wide[i], n.narrow[i] = graph.F32ToF16(float32(x)), graph.F32ToF16(float32(x/4))
	}
	return n
}

// fill writes the numbers of a name.
func (n *noise) fill(name string, out []uint16) {
	q := &n.wide
	if slices.Contains(last, name) {
		q = &n.narrow
	}
	seed := crc64.Checksum([]byte(name), crc64.MakeTable(crc64.ECMA))
	const run = 1 << 20
	var wait sync.WaitGroup
	free := make(chan bool, goruntime.GOMAXPROCS(0))
	for at := 0; at < len(out); at += run {
		free <- true
		wait.Go(func() {
			q.run(seed+uint64(at), out[at:min(at+run, len(out))])
			<-free
		})
	}
	wait.Wait()
}

// run fills out by splitmix64 (Steele, Lea, Flood 2014), 16 bits a number.
func (q *quantiles) run(state uint64, out []uint16) {
	var z uint64
	for i := range out {
		if i%4 == 0 {
			state += 0x9e3779b97f4a7c15
			z = state
			z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
			z = (z ^ z>>27) * 0x94d049bb133111eb
			z ^= z >> 31
		}
		out[i] = q[uint16(z)]
		z >>= 16
	}
}

// weight makes the values of a weight: ones for norms, and noise.
func (n *noise) weight(name string, shape []int64, out []uint16) {
	if n.tied && name == headWeight {
		table := make([]uint16, len(out))
		n.fill(embedWeight, table)
		transpose(out, table, int(shape[0]))
		return
	}
	if strings.Contains(name, "norm") || strings.Contains(name, "ln_q") {
		for i := range out {
			out[i] = 0x3c00 // 1
		}
		return
	}
	n.fill(name, out)
}

// transpose writes rows of so many columns as columns, a part that the caches hold
// at a time.
func transpose(out, in []uint16, columns int) {
	const part = 64
	rows := len(in) / columns
	for first := 0; first < rows; first += part {
		for c := range columns {
			for r := first; r < min(first+part, rows); r++ {
				out[c*rows+r] = in[r*columns+c]
			}
		}
	}
}
