package graph

import (
	"encoding/hex"
	"math"
	"slices"
	"strconv"
	"strings"
)

// ParseText reads the text form of a graph; see [Text] for the grammar. Values
// must be defined before they are read; no other rule of the IR is checked.
// Errors wrap ErrInvalid and name the line.
func ParseText(text string) (*Graph, error) {
	p := &parser{text: text}
	g, _ := p.graph(nil, 1)
	if p.end(); p.err != nil {
		return nil, p.err
	}
	return g, nil
}

// tensor reads a tensor and the space of its type.
func (p *parser) tensor() (*Tensor, Space) {
	defer p.nest()()
	typ := p.typ()
	t := &Tensor{Kind: typ.Kind, DType: typ.DType}
	if t.Kind != TensorKind {
		p.expect("{")
		p.list("}", func() {
			e, _ := p.tensor()
			t.Elems = append(t.Elems, e)
		})
		return t, typ.Space
	}
	var ok bool
	if t.Shape, ok = typ.Shape.Ints(); !ok || !t.DType.Valid() {
		p.fail("%s is no type of a tensor with data", typ)
	}
	switch {
	case p.take("file"):
		t.Source = &Range{File: p.quoted()}
		p.expect("[")
		t.Source.Offset = p.integer()
		p.expect(":")
		t.Source.Length = p.integer()
		p.expect("]")
		return t, typ.Space
	case p.take("<"):
		p.fail("the data of %s is cut short in the text", typ)
	}
	p.expect("{")
	p.list("}", func() { p.element(t) })
	if n, whole := t.elements(); p.err == nil && !whole {
		p.fail("the elements do not go with %s, which has %d", typ, n)
	}
	return t, typ.Space
}

// element appends one element's bytes to a tensor, or all of them written in
// hexadecimal.
func (p *parser) element(t *Tensor) {
	if t.DType == String {
		t.Strings = append(t.Strings, p.quoted())
		return
	}
	s := p.run(numberBytes)
	bits := t.DType.Bits()
	var u uint64
	var err error
	switch t.DType {
	case Float32, Float16, BFloat16, Float64:
		var f float64
		f, err = strconv.ParseFloat(s, max(bits, 32))
		switch t.DType {
		case Float32:
			u = uint64(math.Float32bits(float32(f)))
		case Float16:
			u = uint64(F32ToF16(float32(f)))
		case BFloat16:
			u = uint64(F32ToBF16(float32(f)))
		default:
			u = math.Float64bits(f)
		}
	case Int8, Int16, Int32, Int64:
		var i int64
		i, err = strconv.ParseInt(s, 10, bits)
		u = uint64(i)
	case Uint8, Uint16, Uint32, Uint64:
		u, err = strconv.ParseUint(s, 10, bits)
	case Bool:
		u, err = strconv.ParseUint(s, 10, 1)
	default:
		var b []byte
		b, err = hex.DecodeString(s)
		t.Data = append(t.Data, b...)
		bits = 0 // all there
	}
	if err != nil {
		p.fail("%q is no element of a %s tensor", s, t.DType)
	}
	for i := 0; i < bits; i += 8 {
		t.Data = append(t.Data, byte(u>>i))
	}
}

// attr reads an attribute's value: one of the types that Attr lists.
func (p *parser) attr() any {
	defer p.nest()()
	rest := p.rest()
	switch {
	case strings.HasPrefix(rest, `"`):
		return p.quoted()
	case p.take("["):
		return p.attrList()
	case p.take("type "):
		return p.typ()
	case p.take("int[]"):
		return []int64{}
	case p.take("float[]"):
		return []float32{}
	case p.take("string[]"):
		return []string{}
	case p.take("tensor[]"):
		return []*Tensor{}
	case rest != "" && strings.ContainsAny(rest[:1], "+-N"+digitBytes):
		s := p.run(numberBytes)
		if n, err := strconv.ParseInt(s, 10, 64); err == nil {
			return n
		}
		f, err := strconv.ParseFloat(s, 32)
		if err != nil {
			p.fail("got %q, want a number", s)
		}
		return float32(f)
	}
	t, _ := p.tensor()
	return t
}

func (p *parser) attrList() any {
	var items []any
	p.list("]", func() { items = append(items, p.attr()) })
	if len(items) == 0 {
		p.fail("an empty list needs its kind, such as int[]")
		return nil
	}
	switch items[0].(type) {
	case int64:
		return typed[int64](p, items)
	case float32:
		return typed[float32](p, items)
	case string:
		return typed[string](p, items)
	case *Tensor:
		return typed[*Tensor](p, items)
	}
	p.fail("a list of %T", items[0])
	return nil
}

func typed[T any](p *parser, items []any) []T {
	out := make([]T, len(items))
	for i, v := range items {
		var ok bool
		if out[i], ok = v.(T); !ok {
			p.fail("a list of %T has a %T at %d", out[i], v, i)
		}
	}
	return out
}

// block is one graph being read.
type block struct {
	*parser
	g      *Graph
	values map[string]*Value
	around *block   // nil for the outermost graph
	outer  []*Value // aligned with g.Captures
}

// graph reads a graph, as a body of the last node of the graph around it, and
// returns it with what it captures.
func (p *parser) graph(around *block, depth int) (*Graph, []*Value) {
	b := &block{parser: p, values: map[string]*Value{}, around: around}
	p.expect("graph")
	b.g = New(p.quoted())
	p.expect("{")
	if depth > MaxDepth {
		p.fail("bodies are nested more than %d deep", MaxDepth)
	}
	for p.err == nil && !p.take("}") {
		b.statement(depth)
	}
	return b.g, b.outer
}

func (b *block) statement(depth int) {
	if rest := b.rest(); rest != "" && strings.ContainsAny(rest[:1], "%_=") {
		b.node()
		return
	}
	begin := b.pos
	switch b.run(letterBytes) {
	case "input":
		name := b.newName()
		b.expect(":")
		b.values[name] = b.g.NewInput(name, b.typ())
	case "capture":
		b.capture()
	case "const":
		name := b.newName()
		b.expect("=")
		t, space := b.tensor()
		v := b.g.NewConst(name, t)
		v.Type.Space = space
		b.values[name] = v
	case "output":
		b.g.Outputs = append(b.g.Outputs, b.value())
	case "state":
		in := b.value()
		b.expect("->")
		b.g.States = append(b.g.States, State{in, b.value()})
	case "body":
		n := b.last()
		if n == nil {
			b.fail("a body needs a node before it")
			return
		}
		attr := b.name(nameBytes)
		b.expect("=")
		g, outer := b.graph(b, depth+1)
		n.Bodies = append(n.Bodies, &Body{attr, g, outer})
	default:
		b.pos = min(begin, b.pos)
		b.fail("got %s, want a line of a graph", excerpt(b.rest()))
	}
}

// last returns the node read last, or nil.
func (b *block) last() *Node {
	if len(b.g.Nodes) == 0 {
		return nil
	}
	return b.g.Nodes[len(b.g.Nodes)-1]
}

func (b *block) capture() {
	name := b.newName()
	b.expect(":")
	v := b.g.NewValue(name, b.typ())
	b.g.Captures = append(b.g.Captures, v)
	b.values[name] = v
	if b.around == nil {
		return
	}
	b.expect("=")
	if v := b.around.value(); v != nil {
		if v.Def != nil && v.Def == b.around.last() {
			b.fail("a body cannot capture %s, an output of its own node", ref(v))
		}
		b.outer = append(b.outer, v)
	}
}

// newName reads the name of a value that is being defined.
func (b *block) newName() string {
	b.expect("%")
	name := b.name(nameBytes)
	if name == "" || b.values[name] != nil {
		b.fail("value %q has no name or is defined already", name)
	}
	return name
}

// value reads the name of a value that is defined; nil after an error.
func (b *block) value() *Value {
	b.expect("%")
	name := b.name(nameBytes)
	v := b.values[name]
	if v == nil {
		b.fail("value %q is not defined before it is read", name)
	}
	return v
}

func (b *block) node() {
	var names []string
	var types []Type
	for first := true; b.err == nil && !b.take("="); first = false {
		if !first {
			b.expect(",")
		}
		name, typ := "", Type{}
		if !b.take("_") {
			if name = b.newName(); slices.Contains(names, name) {
				b.fail("the node has two outputs named %q", name)
			}
			if b.take(":") {
				typ = b.typ()
			}
		}
		names, types = append(names, name), append(types, typ)
	}
	domain, op := "", b.name(nameBytes)
	if b.take("::") {
		domain, op = op, b.name(nameBytes)
	}
	b.expect("-")
	version := b.integer()
	var ins []*Value
	b.expect("(")
	b.list(")", func() {
		if b.take("_") {
			ins = append(ins, nil)
		} else {
			ins = append(ins, b.value())
		}
	})
	n := b.g.NewNode(domain, op, int(version), ins, names...)
	if b.take("{") {
		b.list("}", func() {
			name := b.name(nameBytes)
			b.expect("=")
			n.Attrs = append(n.Attrs, Attr{name, b.attr()})
		})
	}
	if b.take("@") {
		n.Target = b.name(nameBytes + ":")
	}
	if b.take(";") {
		n.Path = b.name(nameBytes)
		if strings.HasPrefix(b.rest(), `"`) {
			n.Name = b.quoted()
		}
	}
	b.g.Append(n)
	for i, v := range n.Outputs {
		if v != nil {
			v.Type = types[i]
			b.values[v.Name] = v
		}
	}
}
