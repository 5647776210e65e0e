package partition

import (
	"encoding/json"
	"fmt"

	"mnnconv/graph"
)

// Relation is what a model demands of one value beyond its type. It is data: it
// can be printed, saved, and checked by whatever device holds the value.
type Relation struct {
	Phase  string   `json:"phase"`
	Value  string   `json:"value"` // canonical name
	Kind   RuleKind `json:"kind"`
	Text   string   `json:"text"`   // what is demanded, in words
	Source string   `json:"source"` // where it comes from: a file's field, or a constant of the family

	Rows      []int     `json:"-"` // first and last index on axis 0 that it looks at; nil: all
	Axis      int       `json:"-"` // of Extent; negative: from the last
	Low, High graph.Dim `json:"-"` // see the kinds
	Other     string    `json:"-"` // the value compared with: an input of the same phase
	Tokens    []int64   `json:"-"` // of Count
}

// RuleKind says how a relation is checked.
type RuleKind string

// The kinds of relations. All but Extent look at values.
const (
	Extent      RuleKind = "extent"      // the extent on Axis is High
	Finite      RuleKind = "finite"      // no NaN, no infinity
	Bounded     RuleKind = "range"       // Low ≤ x < High
	Magnitude   RuleKind = "magnitude"   // |x| ≤ High, finite
	Permutation RuleKind = "permutation" // each of 0 … High-1 once
	Inverse     RuleKind = "inverse"     // this[Other[i]] = i
	Consecutive RuleKind = "consecutive" // counting up by one, 0 ≤ x < High
	Ascending   RuleKind = "ascending"   // strictly, from Low to High
	Count       RuleKind = "count"       // High of the elements are in Tokens; where there is more than one element
)

// relationJSON is the form of a relation in contract.json: dims are formulas.
type relationJSON struct {
	Phase  string   `json:"phase"`
	Value  string   `json:"value"`
	Kind   RuleKind `json:"kind"`
	Text   string   `json:"text"`
	Source string   `json:"source"`
	Rows   []int    `json:"rows,omitempty"`
	Axis   *int     `json:"axis,omitempty"`
	Low    string   `json:"low,omitempty"`
	High   string   `json:"high,omitempty"`
	Other  string   `json:"other,omitempty"`
	Tokens []int64  `json:"tokens,omitempty"`
}

// MarshalJSON writes dims as formulas over symbols.
func (r Relation) MarshalJSON() ([]byte, error) {
	j := relationJSON{Phase: r.Phase, Value: r.Value, Kind: r.Kind, Text: r.Text, Source: r.Source, Other: r.Other, Tokens: r.Tokens, Rows: r.Rows}
	switch r.Kind {
	case Extent:
		j.Axis, j.High = &r.Axis, r.High.String()
	case Bounded, Ascending:
		j.Low, j.High = r.Low.String(), r.High.String()
	case Magnitude, Permutation, Consecutive, Count:
		j.High = r.High.String()
	}
	return json.Marshal(j)
}

// UnmarshalJSON reads what MarshalJSON writes.
func (r *Relation) UnmarshalJSON(b []byte) error {
	var j relationJSON
	if err := json.Unmarshal(b, &j); err != nil {
		return err
	}
	*r = Relation{Phase: j.Phase, Value: j.Value, Kind: j.Kind, Text: j.Text, Source: j.Source, Other: j.Other, Tokens: j.Tokens, Rows: j.Rows}
	if j.Axis != nil {
		r.Axis = *j.Axis
	}
	for _, f := range []struct {
		text string
		to   *graph.Dim
	}{{j.Low, &r.Low}, {j.High, &r.High}} {
		if f.text == "" {
			continue
		}
		d, err := graph.ParseDim(f.text)
		if err != nil {
			return fmt.Errorf("relation of %q: %w", j.Value, err)
		}
		*f.to = d
	}
	return nil
}

// OfValues reports whether the relation looks at values, rather than at types.
func (r Relation) OfValues() bool { return r.Kind != Extent }

// CheckType checks an Extent relation against a type: what is proven to differ
// is a violation.
func (r Relation) CheckType(t graph.Type) error {
	if r.Kind != Extent || !t.Shape.Ranked() {
		return nil
	}
	axis := r.Axis
	if axis < 0 {
		axis += len(t.Shape)
	}
	if axis < 0 || axis >= len(t.Shape) {
		return fmt.Errorf("%s: expected an extent %d, found %s", r.Text, r.Axis, t.Shape)
	}
	want, isConst := r.High.Int()
	have, known := t.Shape[axis].Int()
	if t.Shape[axis].Equal(r.High) || !(isConst && known) && isConst != known {
		return nil // equal, or one of them is a symbol that a run gives its value
	}
	if isConst && known && have == want {
		return nil
	}
	return fmt.Errorf("%s: expected extent %s on axis %d, found %s in %s", r.Text, r.High, axis, t.Shape[axis], t)
}
