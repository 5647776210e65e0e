package graph

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"
)

// inlineElements is how many elements a constant may have to be written whole.
const inlineElements = 32

// Text returns the text form of g, for people and for the fixtures of tests:
//
//	graph "attention" {
//	  input %x: float32[batch, 4*n]@cpu
//	  const %w = float32[2] {1, 0.5}
//	  %y: float32[batch, 4*n] = Mul-14(%x, %w) @cpu ; llm.layers.7.scale "/layers.7/Mul"
//	  %a, _ = Split-18(%y, _) {axis = -1, num_outputs = 2}
//	  output %a
//	}
//
// The grammar, where {…} repeats and […] may be missing, blanks and line ends
// only part words, and # begins a comment:
//
//	graph  = "graph" STRING "{" {line} "}"
//	line   = "input" value ":" type
//	       | "capture" value ":" type ["=" value]  in a body: what it stands for outside
//	       | "const" value "=" tensor
//	       | "output" value
//	       | "state" value "->" value              an input and an output
//	       | "body" NAME "=" graph                 of the node before it
//	       | [out {"," out}] "=" [NAME "::"] NAME "-" INT "(" [in {"," in}] ")"
//	         ["{" NAME "=" attr {"," NAME "=" attr} "}"] ["@" SPACE] [";" NAME [STRING]]
//	out    = "_" | value [":" type]        "_" where it is absent
//	in     = "_" | value
//	value  = "%" NAME
//	attr   = INT | FLOAT | STRING | tensor | "type" type | "[" attr {"," attr} "]"
//	       | ("int" | "float" | "string" | "tensor") "[]"      an empty list
//	type   = ("sequence" | "optional") ["(" type ")"] ["@" SPACE]
//	       | DTYPE "[" ("?" | [dim {"," dim}]) "]" ["@" SPACE]
//	tensor = type "{" [element {"," element}] "}"
//	       | type "file" STRING "[" INT ":" INT "]"            offset, length
//
// An operator is preceded by its domain and followed by its opset version; after
// the semicolon come the node's canonical path and the exporter's name. Names
// are plain ([A-Za-z0-9_./]+, in a SPACE also a colon) or quoted as in Go. A dim
// is what [Dim.String] writes. A FLOAT has a point, an exponent or is NaN, +Inf
// or -Inf. Elements are numbers, strings, or for dtypes narrower or stranger than
// that all bytes in hexadecimal.
//
// Not shown: exporters' value names and hints, causes, metadata, documentation.
// Larger constants without a file are cut short and show a hash; [ParseText]
// refuses those.
func Text(g *Graph) string {
	p := &printer{}
	p.graph(g, nil, 1)
	return p.w.String() + "\n"
}

type printer struct{ w strings.Builder }

func (p *printer) line(indent int, format string, args ...any) {
	p.w.WriteString(strings.Repeat("  ", indent))
	fmt.Fprintf(&p.w, format, args...)
	p.w.WriteByte('\n')
}

// graph writes a graph whose closing brace is indented one less than its lines.
func (p *printer) graph(g *Graph, outer []*Value, indent int) {
	fmt.Fprintf(&p.w, "graph %q {\n", g.Name)
	for _, v := range g.Inputs {
		p.line(indent, "input %s: %s", ref(v), v.Type)
	}
	captured := make(map[*Value]bool, len(g.Captures))
	for i, v := range g.Captures {
		captured[v] = true
		if i < len(outer) {
			p.line(indent, "capture %s: %s = %s", ref(v), v.Type, ref(outer[i]))
		} else {
			p.line(indent, "capture %s: %s", ref(v), v.Type)
		}
	}
	shown := make(map[*Value]bool)
	constant := func(v *Value) {
		if v == nil || v.Const == nil || v.Def != nil || captured[v] || shown[v] {
			return
		}
		shown[v] = true
		p.line(indent, "const %s = %s", ref(v), tensorText(v.Const, v.Type.Space))
	}
	for _, n := range g.Nodes {
		n.Reads(constant)
		p.node(n, indent)
	}
	for _, v := range g.Outputs {
		constant(v)
		p.line(indent, "output %s", ref(v))
	}
	for _, s := range g.States {
		constant(s.In)
		constant(s.Out)
		p.line(indent, "state %s -> %s", ref(s.In), ref(s.Out))
	}
	p.w.WriteString(strings.Repeat("  ", indent-1) + "}")
}

func (p *printer) node(n *Node, indent int) {
	outs := make([]string, len(n.Outputs))
	for i, v := range n.Outputs {
		outs[i] = ref(v)
		if v != nil && !unknown(v.Type) {
			outs[i] += ": " + v.Type.String()
		}
	}
	ins := make([]string, len(n.Inputs))
	for i, v := range n.Inputs {
		ins[i] = ref(v)
	}
	var b strings.Builder
	if len(outs) > 0 {
		b.WriteString(strings.Join(outs, ", ") + " ")
	}
	b.WriteString("= ")
	if n.Domain != "" {
		b.WriteString(nameText(n.Domain) + "::")
	}
	fmt.Fprintf(&b, "%s-%d(%s)", nameText(n.Op), n.Version, strings.Join(ins, ", "))
	if len(n.Attrs) > 0 {
		attrs := make([]string, len(n.Attrs))
		for i, a := range n.Attrs {
			attrs[i] = nameText(a.Name) + " = " + attrText(a.Value)
		}
		b.WriteString(" {" + strings.Join(attrs, ", ") + "}")
	}
	if n.Target != "" {
		b.WriteString(" @" + plainOrQuoted(n.Target, isSpace))
	}
	if n.Path != "" || n.Name != "" {
		b.WriteString(" ; " + nameText(n.Path))
	}
	if n.Name != "" {
		b.WriteString(" " + strconv.Quote(n.Name))
	}
	p.line(indent, "%s", b.String())
	for _, body := range n.Bodies {
		if indent > 2*(MaxDepth-1) { // two steps a level: it is no graph that Verify accepts
			p.line(indent+1, "body %s: nested too deep", nameText(body.Attr))
			continue
		}
		p.w.WriteString(strings.Repeat("  ", indent+1) + "body " + nameText(body.Attr) + " = ")
		p.graph(body.Graph, body.Outer, indent+2)
		p.w.WriteByte('\n')
	}
}

func ref(v *Value) string {
	if v == nil {
		return "_"
	}
	return "%" + nameText(v.Name)
}

func nameText(name string) string { return plainOrQuoted(name, isName) }

func isName(s string) bool {
	return s != "" && strings.Trim(s, nameBytes) == ""
}

func isSpace(s string) bool {
	return s != "" && strings.Trim(s, nameBytes+":") == ""
}

const nameBytes = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_./"

func attrText(v any) string {
	switch v := v.(type) {
	case int64:
		return strconv.FormatInt(v, 10)
	case float32:
		return floatText(float64(v), 32)
	case string:
		return strconv.Quote(v)
	case *Tensor:
		return tensorText(v, "")
	case Type:
		return "type " + v.String()
	case []int64:
		return listText("int", v)
	case []float32:
		return listText("float", v)
	case []string:
		return listText("string", v)
	case []*Tensor:
		return listText("tensor", v)
	}
	return fmt.Sprintf("<%T>", v)
}

func listText[T any](kind string, v []T) string {
	if len(v) == 0 {
		return kind + "[]"
	}
	parts := make([]string, len(v))
	for i, x := range v {
		parts[i] = attrText(any(x))
	}
	return "[" + strings.Join(parts, ", ") + "]"
}

// floatText writes the shortest number that parses back, never one that looks
// like an integer.
func floatText(f float64, bits int) string {
	s := strconv.FormatFloat(f, 'g', -1, bits)
	if strings.Trim(s, "-0123456789") == "" {
		s += ".0"
	}
	return s
}

func tensorText(t *Tensor, space Space) string {
	typ := t.Type()
	typ.Space = space
	head := typ.String() + " "
	if t.Kind != TensorKind {
		parts := make([]string, len(t.Elems))
		for i, e := range t.Elems {
			parts[i] = tensorText(e, "")
		}
		return head + "{" + strings.Join(parts, ", ") + "}"
	}
	n, whole := t.elements()
	switch {
	case whole && n <= inlineElements:
		return head + "{" + elementsText(t) + "}"
	case t.Source != nil:
		return head + fmt.Sprintf("file %q[%d:%d]", t.Source.File, t.Source.Offset, t.Source.Length)
	case whole:
		return head + "<" + elementsText(t.preview()) + ", … " + hashText(t) + ">"
	}
	return head + fmt.Sprintf("<%d bytes>", len(t.Data))
}

// elements returns how many elements a tensor has, and whether its data is there
// and as large as they need.
func (t *Tensor) elements() (n int64, whole bool) {
	n, err := Elements(t.Shape)
	if err != nil {
		return 0, false
	}
	if t.DType == String {
		return n, int64(len(t.Strings)) == n
	}
	size, ok := t.DType.Bytes(n)
	return n, ok && size == int64(len(t.Data))
}

// preview returns the first few elements of a tensor that has more.
func (t *Tensor) preview() *Tensor {
	const n = 4
	if t.DType == String {
		return &Tensor{DType: String, Shape: []int64{n}, Strings: t.Strings[:n]}
	}
	size, _ := t.DType.Bytes(n)
	return &Tensor{DType: t.DType, Shape: []int64{n}, Data: t.Data[:size]}
}

func hashText(t *Tensor) string {
	h := sha256.New()
	h.Write(t.Data)
	for _, s := range t.Strings {
		h.Write([]byte(strconv.Quote(s)))
	}
	return "sha256:" + hex.EncodeToString(h.Sum(nil)[:8])
}

// elementsText writes all elements of a tensor whose data is complete.
func elementsText(t *Tensor) string {
	parts := make([]string, 0, inlineElements)
	switch t.DType {
	case String:
		for _, s := range t.Strings {
			parts = append(parts, strconv.Quote(s))
		}
	case Float32, Float16, BFloat16:
		x, _ := t.Float32s()
		for _, f := range x {
			parts = append(parts, strconv.FormatFloat(float64(f), 'g', -1, 32))
		}
	case Float64:
		for _, f := range View[float64](t) {
			parts = append(parts, strconv.FormatFloat(f, 'g', -1, 64))
		}
	case Uint64:
		for _, n := range View[uint64](t) {
			parts = append(parts, strconv.FormatUint(n, 10))
		}
	case Int8, Int16, Int32, Int64, Uint8, Uint16, Uint32, Bool:
		x, _ := t.Int64s()
		for _, n := range x {
			parts = append(parts, strconv.FormatInt(n, 10))
		}
	default:
		return hex.EncodeToString(t.Data)
	}
	return strings.Join(parts, ", ")
}
