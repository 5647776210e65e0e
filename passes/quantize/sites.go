package quantize

import (
	"slices"

	"mnnconv/graph"
	"mnnconv/passes"
	"mnnconv/schemas/op"
)

// Phase is one raised graph of a model.
type Phase struct {
	Name  string
	Graph *graph.Graph
}

// site is a node whose weight can be stored in another way.
type site struct {
	phase  string
	g      *graph.Graph
	n      *graph.Node
	weight *graph.Value // the constant as it is stored
	m      matrix
	table  bool // rows are looked up, and not multiplied with
	format Format
	levels []Format // that a budget may choose, of rising bits; the first is the rule's
	raised bool
	twin   *site // an earlier site of the same numbers and format
	layer  Layer
}

// sites finds what the spec's rules match. What they match and cannot change is
// kept.
func sites(phases []Phase, o Options) (found []*site, kept []Kept) {
	for _, ph := range phases {
		for _, n := range ph.Graph.Nodes {
			w, transposed, table := weightOf(n)
			if w == nil {
				if k, ok := already(n, o); ok {
					kept = append(kept, Kept{ph.Name, n.Label(), k, "it is quantised already"})
				}
				continue
			}
			f, ok := o.Spec.formatOf(n)
			if !ok {
				continue
			}
			s := &site{phase: ph.Name, g: ph.Graph, n: n, weight: w, m: newMatrix(numbers(w.Const), transposed), table: table, format: f}
			if why := s.refuse(); why != "" {
				kept = append(kept, Kept{ph.Name, n.Label(), w.Const.Size(), why})
				continue
			}
			s.format.Method = s.method(o)
			s.levels = s.formats()
			found = append(found, s)
		}
	}
	return found, kept
}

// weightOf returns the stored weight of a product or lookup, whether it is stored
// with inputs before outputs, and whether its rows are looked up.
func weightOf(n *graph.Node) (w *graph.Value, transposed, table bool) {
	switch {
	case n.Is("Gather"):
		w := n.In(0)
		if w.Const != nil && len(w.Const.Shape) == 2 && readable(w.Const.DType) && numbers(w.Const).Data != nil && n.Int("axis", 0) == 0 && passes.IsLookup(n) {
			return w, false, true
		}
		return nil, false, false
	case n.Is("MatMul"):
		transposed = true
	case n.Domain == op.Microsoft && n.Op == "FusedMatMul":
		transposed = n.Int("transB", 0) == 0
		for _, a := range []string{"transA", "transBatchA", "transBatchB"} {
			if n.Int(a, 0) != 0 {
				return nil, false, false
			}
		}
	case n.Is("Gemm") && n.Int("transA", 0) == 0:
		transposed = n.Int("transB", 0) == 0
	default:
		return nil, false, false
	}
	w, swapped := stored(n.In(1))
	if w == nil {
		return nil, false, false
	}
	return w, transposed != swapped, false
}

// stored returns the constant of rank 2 that a value is, or that stands behind
// Casts and Transposes.
func stored(v *graph.Value) (w *graph.Value, swapped bool) {
	for v != nil && v.Const == nil {
		n := v.Def
		if n == nil || n.In(0) == nil || n.In(0).Type.Kind != graph.TensorKind {
			return nil, false
		}
		switch perm := n.Ints("perm"); {
		case n.Is("Cast") && readable(n.In(0).Type.DType):
		case n.Is("Transpose") && len(v.Type.Shape) == 2 && (perm == nil || slices.Equal(perm, []int64{1, 0})):
			swapped = !swapped
		default:
			return nil, false
		}
		v = n.In(0)
	}
	if v == nil || len(v.Const.Shape) != 2 || !readable(v.Const.DType) || numbers(v.Const).Data == nil {
		return nil, false
	}
	return v, swapped
}

// numbers returns the tensor that holds a weight's numbers: of one that is to be of
// another type of float, the one that it is made of.
func numbers(t *graph.Tensor) *graph.Tensor {
	if t.Of != nil {
		return t.Of
	}
	return t
}

// already reports whether a rule matches a node that is quantised, and its bytes.
func already(n *graph.Node, o Options) (bytes int64, ok bool) {
	if n.Domain != op.Microsoft || n.Op != "MatMulNBits" && n.Op != "GatherBlockQuantized" && n.Op != "MatMulBnb4" {
		return 0, false
	}
	f, ok := o.Spec.formatOf(n)
	for _, v := range n.Inputs {
		if v != nil && v.Const != nil {
			bytes += v.Const.Size()
		}
	}
	return bytes, ok && f.Kind != Keep
}

// refuse says why a weight stays as it is; empty: it need not.
func (s *site) refuse() string {
	n, f := s.n, s.format
	x := n.Out(0).Type
	if s.table && n.Out(0) != nil {
		x = graph.Type{DType: s.weight.Const.DType, Shape: x.Shape}
	}
	switch {
	case f.Kind == Keep:
		return "its rule says so"
	case s.m.rows == 0 || s.m.cols == 0:
		return "it is empty"
	case f.bits() == 0 && s.weight.Const.DType == f.dtype():
		return "it is stored so already"
	case f.bits() == 0 && (s.weight.Const.DType != graph.Float32 || s.weight.Const.Later != nil):
		return "it is stored in 16 bits already"
	case f.bits() == 0:
		return ""
	case x.DType != graph.Float32 && x.DType != graph.Float16:
		return "no operator for codes computes in " + x.DType.String() + "; --dtype has it compute in another type"
	case s.table && s.m.cols%f.Block != 0:
		return "the width of its rows is no multiple of the block size"
	case s.table:
		return ""
	case !n.In(0).Type.Shape.Ranked() || len(n.In(0).Type.Shape) < 2:
		return "its input is a vector"
	case n.Float("alpha", 1) != 1 || n.In(2) != nil && n.Float("beta", 1) != 1:
		return "it has a factor"
	case n.In(2) != nil && len(n.In(2).Type.Shape) != 1:
		return "its bias is no vector"
	}
	return ""
}

// method is how the codes of a site are chosen.
func (s *site) method(o Options) Method {
	m := s.format.Method
	switch {
	case s.format.bits() == 0:
		return ""
	case s.table && (m == GPTQ || m == "" && o.Calibrate != nil): // a lookup has no inputs
		return Refine
	case m != "":
		return m
	case o.Calibrate != nil:
		return GPTQ
	}
	return DefaultMethod
}

// formats lists the rule's format and those of more bits.
func (s *site) formats() []Format {
	out := []Format{s.format}
	if s.format.Kind == Int4 {
		f := s.format
		f.Kind = Int8
		out = append(out, f)
	}
	if s.format.bits() > 0 && s.weight.Const.DType == graph.Float32 {
		out = append(out, Format{Kind: FP16})
	} else if s.format.bits() > 0 {
		out = append(out, Format{Kind: Keep})
	}
	return out
}

// bytes is the size of the weight in a format.
func (s *site) bytes(f Format) int64 {
	elements := int64(s.m.rows) * int64(s.m.cols)
	switch {
	case f.Kind == Keep:
		return s.weight.Const.Size()
	case f.bits() == 0:
		return 2 * elements
	}
	j := s.job(f, Options{})
	m, n := j.tensors(), int64(0)
	for _, l := range []*graph.Later{m.codes, m.scales, m.factors, m.zeros} {
		if l != nil {
			n += l.Size
		}
	}
	return n
}

// job makes the codes of the site in a format.
func (s *site) job(f Format, o Options) *job {
	return &job{layer: &s.layer, m: s.m, coding: newCoding(f), method: f.Method, block: f.Block, padded: !s.table, loops: o.Loops, workers: max(1, o.Workers)}
}
