package graph

// Attr is a named attribute. Value is one of int64, float32, string,
// *Tensor, Type, []int64, []float32, []string,
// []*Tensor. Graph attributes are Bodies of the node.
type Attr struct {
	Name  string
	Value any
}

// Attr returns the value of the named attribute, or nil.
func (n *Node) Attr(name string) any {
	for i := range n.Attrs {
		if n.Attrs[i].Name == name {
			return n.Attrs[i].Value
		}
	}
	return nil
}

// SetAttr sets or replaces an attribute. An int is stored as int64.
func (n *Node) SetAttr(name string, value any) {
	if i, ok := value.(int); ok {
		value = int64(i)
	}
	for i := range n.Attrs {
		if n.Attrs[i].Name == name {
			n.Attrs[i].Value = value
			return
		}
	}
	n.Attrs = append(n.Attrs, Attr{name, value})
}

// Has reports whether the attribute is present.
func (n *Node) Has(name string) bool { return n.Attr(name) != nil }

// Int returns an integer attribute, or def where it is absent or of another
// kind; the kind is checked against the operator's schema on import.
func (n *Node) Int(name string, def int64) int64 { return get(n, name, def) }

// Float returns a float attribute or def.
func (n *Node) Float(name string, def float32) float32 { return get(n, name, def) }

// Str returns a string attribute or def.
func (n *Node) Str(name, def string) string { return get(n, name, def) }

// Ints returns a list attribute, or nil.
func (n *Node) Ints(name string) []int64 { return get[[]int64](n, name, nil) }

// Floats returns a list attribute, or nil.
func (n *Node) Floats(name string) []float32 { return get[[]float32](n, name, nil) }

// Strs returns a list attribute, or nil.
func (n *Node) Strs(name string) []string { return get[[]string](n, name, nil) }

// Tensor returns a tensor attribute, or nil.
func (n *Node) Tensor(name string) *Tensor { return get[*Tensor](n, name, nil) }

// Body returns the named graph attribute, or nil.
func (n *Node) Body(name string) *Body {
	for _, b := range n.Bodies {
		if b.Attr == name {
			return b
		}
	}
	return nil
}

func get[T any](n *Node, name string, def T) T {
	if v, ok := n.Attr(name).(T); ok {
		return v
	}
	return def
}
