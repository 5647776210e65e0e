package op

import (
	"fmt"
	"strconv"
	"strings"

	"mnnconv/graph"
)

// TfIdfVectorizer is ONNX TfIdfVectorizer.
var TfIdfVectorizer = &Op{
	Name: "TfIdfVectorizer", Since: 9,
	Doc: "How often each n-gram of the pool occurs in X [C] or in each row of X [N, C], at the place that ngram_indexes gives it: TF counts, IDF gives its weight where it " +
		"occurs, TFIDF the product. Grams of min_gram_length to max_gram_length items, with 0 to max_skip_count items between each two.",
	Inputs: []string{"X"}, Outputs: []string{"Y"},
	Attrs: []string{"max_gram_length", "max_skip_count", "min_gram_length", "mode", "ngram_counts", "ngram_indexes", "pool_int64s", "pool_strings", "weights"},
	Infer: func(in *Inference) error {
		s, err := in.ranked(0, 1, 2)
		if err != nil {
			return err
		}
		g, err := newGrams(in.Node)
		if err != nil {
			return err
		}
		if s != nil {
			s = append(append(graph.Shape{}, s[:len(s)-1]...), graph.Const(int64(g.width)))
		}
		in.SetTensor(0, graph.Float32, s)
		return nil
	},
	Eval: func(c *Call) error {
		x := c.Arg(0)
		if err := c.wantRank(0, 1, 2); err != nil {
			return err
		}
		g, err := newGrams(c.Node)
		if err != nil {
			return err
		}
		items, err := gramItems(x)
		if err != nil {
			return err
		}
		y, err := c.New(0, graph.Float32, append(append([]int64{}, x.Shape[:len(x.Shape)-1]...), int64(g.width))...)
		if err != nil {
			return err
		}
		out, n := graph.View[float32](y), int(x.Shape[len(x.Shape)-1])
		for row := range len(out) / g.width {
			g.count(items[row*n:][:n], out[row*g.width:][:g.width])
		}
		return g.weigh(out)
	},
	Cases: func() []Case {
		attrs := func(mode string, skip int64, more ...graph.Attr) []graph.Attr {
			return append([]graph.Attr{
				{Name: "mode", Value: mode}, {Name: "min_gram_length", Value: int64(1)}, {Name: "max_gram_length", Value: int64(2)}, {Name: "max_skip_count", Value: skip},
				{Name: "ngram_counts", Value: []int64{0, 2}}, {Name: "ngram_indexes", Value: []int64{0, 1, 2}}, {Name: "pool_int64s", Value: []int64{7, 8, 7, 8}},
			}, more...)
		}
		x := graph.Ints([]int64{7, 8, 7, 1, 8}, 1, 5)
		return []Case{
			{Name: "TF", Attrs: attrs("TF", 0), In: []*graph.Tensor{x}, Want: []*graph.Tensor{graph.Floats([]float32{2, 2, 1}, 1, 3)}},
			{Name: "TF with a skip", Attrs: attrs("TF", 1), In: []*graph.Tensor{x.Reshape(5)}, Want: []*graph.Tensor{graph.Floats([]float32{2, 2, 2})}},
			{Name: "IDF", Attrs: attrs("IDF", 0, graph.Attr{Name: "weights", Value: []float32{2, 3, 4}}), In: []*graph.Tensor{x}, Want: []*graph.Tensor{graph.Floats([]float32{2, 3, 4}, 1, 3)}},
		}
	},
}

// grams are the n-grams that a TfIdfVectorizer looks for.
type grams struct {
	shortest, longest int
	skips             int
	at                map[string]int64 // place in the output by the gram's key
	width             int
	mode              string
	weights           []float32
}

func newGrams(n *graph.Node) (*grams, error) {
	least, most, skips := n.Int("min_gram_length", 1), n.Int("max_gram_length", 1), n.Int("max_skip_count", 0)
	if least < 1 || most < least || most > 1<<10 || skips < 0 || skips > 1<<10 {
		return nil, inputErrorf("grams of %d to %d items with %d skips", least, most, skips)
	}
	g := &grams{shortest: int(least), longest: int(most), skips: int(skips), at: map[string]int64{}, mode: n.Str("mode", ""), weights: n.Floats("weights")}
	pool := append([]string{}, n.Strs("pool_strings")...)
	for _, v := range n.Ints("pool_int64s") {
		pool = append(pool, strconv.FormatInt(v, 10))
	}
	counts, indexes := n.Ints("ngram_counts"), n.Ints("ngram_indexes")
	gram := 0
	for i, from := range counts {
		to := int64(len(pool))
		if i+1 < len(counts) {
			to = counts[i+1]
		}
		size := int64(i + 1)
		if from < 0 || to < from || to > int64(len(pool)) || (to-from)%size != 0 {
			return nil, inputErrorf("ngram_counts %v for a pool of %d", counts, len(pool))
		}
		for ; from < to; from += size {
			if gram >= len(indexes) || indexes[gram] < 0 || indexes[gram] > 1<<24 {
				return nil, inputErrorf("gram %d has no place in ngram_indexes", gram)
			}
			g.at[gramKey(pool[from:from+size])] = indexes[gram]
			gram++
		}
	}
	for _, i := range indexes {
		g.width = max(g.width, int(min(i, 1<<24))+1)
	}
	if g.width == 0 {
		return nil, inputErrorf("ngram_indexes is empty")
	}
	return g, nil
}

// gramKey joins items so that no two grams share a key.
func gramKey(items []string) string {
	var b strings.Builder
	for _, s := range items {
		b.WriteString(strconv.Itoa(len(s)))
		b.WriteByte(':')
		b.WriteString(s)
	}
	return b.String()
}

func gramItems(x *graph.Tensor) ([]string, error) {
	if x.DType == graph.String {
		return x.Strings, nil
	}
	v, err := x.Int64s()
	out := make([]string, len(v))
	for i, n := range v {
		out[i] = strconv.FormatInt(n, 10)
	}
	return out, err
}

// count adds the occurrences of every gram in one row.
func (g *grams) count(row []string, out []float32) {
	gram := make([]string, g.longest)
	for skip := range g.skips + 1 {
		for from := range row {
			for n := 1; n <= g.longest; n++ {
				last := from + (n-1)*(skip+1)
				if last >= len(row) {
					break
				}
				gram[n-1] = row[last]
				if n < g.shortest || n == 1 && skip > 0 {
					continue
				}
				if at, ok := g.at[gramKey(gram[:n])]; ok {
					out[at]++
				}
			}
		}
	}
}

// weigh turns counts into what the mode asks for.
func (g *grams) weigh(out []float32) error {
	if g.weights != nil && len(g.weights) != g.width {
		return inputErrorf("%d weights for %d grams", len(g.weights), g.width)
	}
	if g.mode != "TF" && g.mode != "IDF" && g.mode != "TFIDF" {
		return fmt.Errorf("mode %q is %w", g.mode, ErrUnsupported)
	}
	for i := range out {
		if g.mode == "IDF" {
			out[i] = min(out[i], 1)
		}
		if g.mode != "TF" && g.weights != nil {
			out[i] *= g.weights[i%g.width]
		}
	}
	return nil
}
