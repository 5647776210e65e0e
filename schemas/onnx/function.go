package onnx

import (
	"google.golang.org/protobuf/encoding/protowire"

	"mnnconv/graph"
	"mnnconv/schemas/onnx/internal/pb"
)

// functionKey identifies a model-local function.
type functionKey struct{ domain, name, overload string }

func (k functionKey) String() string {
	s := k.name
	if k.domain != "" {
		s = k.domain + "." + s
	}
	if k.overload != "" {
		s += ":" + k.overload
	}
	return shown(s)
}

// function is a FunctionProto whose nodes are not decoded: that happens at
// each call, with the call's values and attributes.
type function struct {
	key      functionKey
	inputs   []string
	outputs  []string
	required map[string]bool // attributes without a default
	defaults map[string]span
	at       span // the FunctionProto
	nodes    int
	opsets   map[string]int64
	types    map[string]*pb.ValueInfoProto
}

// call is one inlining of a function.
type call struct {
	f       *function
	node    *graph.Node
	prefix  string                  // of the names that it makes
	scope   *scope                  // of the function
	results map[string]*graph.Value // the outputs that the caller wants
}

const (
	functionNode    = 7  // field of a FunctionProto
	functionDefault = 11 // likewise
	functionDepth   = 2  // of a FunctionProto in the file
	identityVersion = 13 // of the Identity that a function needs which imports no ai.onnx
)

// readFunctions decodes the model's functions and refuses those that call
// themselves.
func (d *decoder) readFunctions(file span) error {
	var functions []*function
	err := file.each("ModelProto", func(field field) error {
		if field.num != modelFunction {
			return nil
		}
		f, err := d.function(field.span)
		functions = append(functions, f)
		return err
	})
	if err != nil {
		return err
	}
	return d.checkCalls(functions)
}

func (d *decoder) function(at span) (*function, error) {
	p := &pb.FunctionProto{}
	f := &function{at: at, required: map[string]bool{}, defaults: map[string]span{}, types: map[string]*pb.ValueInfoProto{}}
	err := d.message(at, functionDepth, p, held{1<<functionNode | 1<<functionDefault, func(num protowire.Number, s span) error {
		if num == functionDefault {
			return nil
		}
		return counted(&f.nodes, d.o.MaxNodes, s, "nodes")
	}})
	if err != nil {
		return nil, err
	}
	f.key = functionKey{domainOf(p.GetDomain()), p.GetName(), p.GetOverload()}
	f.inputs, f.outputs = p.GetInput(), p.GetOutput()
	if err := d.take(768 + 64*int64(len(f.inputs)+len(f.outputs)+len(p.GetAttribute()))); err != nil {
		return nil, err
	}
	fail := func(err error) (*function, error) { return nil, within(err, "function %s", f.key) }
	if f.key.name == "" {
		return nil, malformed("byte %d: a function has no name", at.at)
	}
	if _, twice := d.functions[f.key]; twice {
		return fail(malformed("defined twice"))
	}
	if f.opsets, err = d.opsets(p.GetOpsetImport()); err != nil {
		return fail(err)
	}
	for _, name := range p.GetAttribute() {
		f.required[name] = true
	}
	err = at.each("FunctionProto", func(field field) error {
		if field.num != functionDefault {
			return nil
		}
		a := &pb.AttributeProto{}
		if err := d.message(field.span, functionDepth+1, a, held{attributeHeld, skip}); err != nil {
			return err
		}
		f.defaults[a.GetName()] = field.span
		return d.take(128 + int64(len(a.GetName())))
	})
	if err != nil {
		return fail(err)
	}
	for _, info := range p.GetValueInfo() {
		f.types[info.GetName()] = info
	}
	d.functions[f.key] = f
	return f, nil
}

func skip(protowire.Number, span) error { return nil }

// inline puts the nodes of f in the place of n, a call of it.
func (d *decoder) inline(s *scope, n *graph.Node, f *function) error {
	fail := func(err error) error { return within(err, "function %s", f.key) }
	if s.levels >= d.o.MaxGraphDepth {
		return fail(limited("subgraphs and functions nested more than %d deep", d.o.MaxGraphDepth))
	}
	if len(n.Inputs) > len(f.inputs) || len(n.Outputs) > len(f.outputs) {
		return fail(malformed("called with %d inputs and %d outputs, it has %d and %d", len(n.Inputs), len(n.Outputs), len(f.inputs), len(f.outputs)))
	}
	c := &call{f: f, node: n, results: map[string]*graph.Value{}, prefix: n.Name + "/"}
	for i := 0; i < len(n.Outputs) && c.prefix == "/"; i++ {
		if v := n.Outputs[i]; v != nil {
			c.prefix = v.Name + "/"
		}
	}
	defer func(was bool) { d.inlining = was }(d.inlining)
	d.inlining = true
	c.scope = &scope{g: s.g, names: map[string]*graph.Value{}, opsets: f.opsets, types: f.types, call: c, levels: s.levels + 1}
	for i, name := range f.inputs {
		if _, twice := c.scope.names[name]; twice || name == "" {
			return fail(malformed("input %d is called %s, as another one or not at all", i, quote(name)))
		}
		c.scope.names[name] = n.In(i)
	}
	for i, name := range f.outputs {
		if v := n.Out(i); v != nil {
			if _, twice := c.results[name]; twice {
				return fail(malformed("output %s is listed twice", quote(name)))
			}
			c.results[name] = v
			v.Def = nil
		}
	}
	if err := d.nodes(c.scope, f.at, functionNode, f.nodes, functionDepth+1); err != nil {
		return fail(err)
	}
	for _, name := range f.outputs {
		v := c.results[name]
		if v == nil || v.Def != nil {
			continue
		}
		in, ok := c.scope.names[name]
		if !ok || in == nil || in == v {
			return fail(malformed("output %s is never produced", quote(name)))
		}
		version, ok := f.opsets[""]
		if !ok {
			version = identityVersion
		}
		id := &graph.Node{Name: c.prefix + name, Op: "Identity", Version: int(version), Inputs: []*graph.Value{in}, Outputs: []*graph.Value{v}}
		v.Def, v.Index = id, 0
		s.g.Append(id)
	}
	return nil
}

// output returns the caller's value for an output of the function, or nil if
// name is none, or s is one of the function's bodies.
func (c *call) output(s *scope, name string) (*graph.Value, error) {
	if c == nil || s != c.scope {
		return nil, nil
	}
	v := c.results[name]
	if v == nil {
		return nil, nil
	}
	if first, twice := s.names[name]; twice {
		return nil, malformed("%s is defined twice, first by %s", quote(name), definer(first))
	}
	s.names[name] = v
	return v, nil
}

// attr returns the value of an attribute of the function in this call: given,
// by default, or nil. declared is false for a name that the function lacks.
func (c *call) attr(d *decoder, name string) (value any, declared bool, err error) {
	def, hasDefault := c.f.defaults[name]
	if !hasDefault && !c.f.required[name] {
		return nil, false, nil
	}
	if c.node.Body(name) != nil {
		return nil, true, unsupported("a reference to the graph attribute %s has no support", quote(name))
	}
	if v := c.node.Attr(name); v != nil || !hasDefault {
		return v, true, nil
	}
	var n graph.Node
	if _, err := d.attribute(&scope{levels: c.scope.levels}, &n, def, functionDepth+1); err != nil {
		return nil, true, err
	}
	if n.Bodies != nil {
		return nil, true, unsupported("the default of the graph attribute %s has no support", quote(name))
	}
	return n.Attr(name), true, nil
}
