package main

import (
	"errors"
	"fmt"

	"mnnconv"
	"mnnconv/graph"
	"mnnconv/partition"
)

// splitInfo is a place to cut at, in the JSON of inspect --splits.
type splitInfo struct {
	Phase   string          `json:"phase"`
	Before  string          `json:"before"` // the path that starts the second part
	Named   bool            `json:"named"`  // with --split, rather than between stages or layers
	Values  []boundaryValue `json:"values"`
	Inputs  []string        `json:"inputs"` // of the graph, that the second part reads
	States  int             `json:"states"` // that lie with the second part
	Bytes   string          `json:"bytes"`  // of the values, a formula over their symbols
	Picture *int64          `json:"picture_bytes,omitempty"`
	Token   *int64          `json:"token_bytes,omitempty"`
	Inside  *insideInfo     `json:"inside,omitempty"`
	Cheaper string          `json:"cheaper,omitempty"`
}

// insideInfo is the cheapest place between a split and the next.
type insideInfo struct {
	Before string `json:"before"`
	Values int    `json:"values"`
	Bytes  string `json:"bytes"`
}

// newSplits lists the places to cut a source at, which is not planned yet.
func newSplits(s *mnnconv.Source, named []string) ([]splitInfo, error) {
	splits, err := mnnconv.Splits(s, named)
	if errors.Is(err, partition.ErrSplit) {
		return nil, usagef("--split: %w", err)
	}
	if err != nil {
		return nil, err
	}
	terms := mnnconv.Terms(s, 0)
	out := []splitInfo{}
	for _, sp := range splits {
		x := splitInfo{Phase: sp.Phase, Before: sp.Before, Named: sp.Named, Values: []boundaryValue{}, Inputs: []string{}, States: len(sp.States),
			Bytes: sp.Bytes.String(), Picture: bytesAt(sp.Bytes, terms.Picture[sp.Phase]), Token: bytesAt(sp.Bytes, terms.Token[sp.Phase]), Cheaper: sp.Cheaper}
		for _, v := range sp.Values {
			x.Values = append(x.Values, boundaryValue{v.Name, v.Type.String(), partition.BytesOf(v.Type).String()})
		}
		for _, v := range sp.Inputs {
			x.Inputs = append(x.Inputs, v.Name)
		}
		if in := sp.Inside; in != nil {
			x.Inside = &insideInfo{in.Before, in.Values, in.Bytes.String()}
		}
		out = append(out, x)
	}
	return out, nil
}

// bytesAt is the value of a formula, or nil where symbols have none.
func bytesAt(d graph.Dim, env graph.Env) *int64 {
	n, err := d.Eval(env)
	if err != nil || env == nil {
		return nil
	}
	return &n
}

// splitRows describes the places to cut at; why not between them, where that moves
// more, and where that moves less.
func splitRows(splits []splitInfo) table {
	t := table{{"phase", "before", "values", "bytes", "a picture", "a token", "cheapest further on, before the next", "cheaper neighbour"}}
	text := func(n *int64) string {
		if n == nil {
			return ""
		}
		return bytesText(*n)
	}
	for _, s := range splits {
		inside := ""
		if in := s.Inside; in != nil {
			inside = fmt.Sprintf("%s: %s, %s bytes", printable(in.Before), plural(in.Values, "value"), printable(in.Bytes))
		}
		t.add(s.Phase, printable(s.Before), fmt.Sprint(len(s.Values)), printable(s.Bytes), text(s.Picture), text(s.Token), inside, printable(s.Cheaper))
	}
	return t
}
