package pack

import (
	"cmp"
	"fmt"
	"slices"

	"mnnconv/graph"
	"mnnconv/schemas/onnx"
)

// Opset is the version of ai.onnx that packages are written at.
const Opset = 24

// atOpset returns a copy of the graph whose nodes of ai.onnx are all written for
// Opset, and the versions of the domains that it uses. Most operators have only
// gained types and attributes over the versions; those whose form has changed are
// in forms. Nodes get names of their own, which onnxruntime asks for: what one
// node was raised to shares its name.
func atOpset(g *graph.Graph) (*graph.Graph, map[string]int64, error) {
	g, _ = g.Clone()
	keepOutputNames(g)
	opsets := map[string]int64{"": Opset}
	nameNodes(g, map[string]int{})
	return g, opsets, raise(g, opsets)
}

// nameNodes numbers names that are taken; taken counts the nodes that asked for
// each.
func nameNodes(g *graph.Graph, taken map[string]int) {
	for _, n := range g.Nodes {
		n.Name = cmp.Or(n.Name, n.Op)
		for base := n.Name; taken[n.Name] > 0; {
			taken[base]++
			n.Name = fmt.Sprintf("%s.%d", base, taken[base])
		}
		taken[n.Name]++
		for _, b := range n.Bodies {
			nameNodes(b.Graph, taken)
		}
	}
}

func raise(g *graph.Graph, opsets map[string]int64) error {
	for _, n := range g.Nodes {
		if n.Domain == "" {
			for _, f := range forms[n.Op] {
				if n.Version >= f.since {
					continue
				}
				if err := f.raise(g, n); err != nil {
					return fmt.Errorf("%s: %w: its form of opset %d cannot be written at opset %d: %w", n.ID(), onnx.ErrUnsupported, n.Version, Opset, err)
				}
			}
			n.Version = Opset
		}
		opsets[n.Domain] = max(opsets[n.Domain], int64(n.Version))
		for _, b := range n.Bodies {
			if err := raise(b.Graph, opsets); err != nil {
				return err
			}
		}
	}
	return nil
}

// form is a change of an operator's form, from version since on.
type form struct {
	since int
	raise func(*graph.Graph, *graph.Node) error
}

// forms lists, from ONNX's Changelog.md, what changed its form between opsets 7
// and 24 among the operators that mnnconv runs, oldest change first.
var forms = map[string][]form{
	"BatchNormalization": {{9, perChannel}},
	"Clip":               {{11, numbersToInputs("min", "max")}},
	"DFT":                {{20, axisToInput}},
	"Dropout":            {{12, withoutRatio}},
	"GridSample":         {{20, shorterModes}},
	"GroupNormalization": {{21, older}},
	"Hardmax":            {{13, lastAxis}},
	"LogSoftmax":         {{13, lastAxis}},
	"PRelu":              {{7, older}},
	"Pad":                {{11, padsToInputs}},
	"ReduceL1":           {{18, axesToInput}},
	"ReduceL2":           {{18, axesToInput}},
	"ReduceLogSum":       {{18, axesToInput}},
	"ReduceLogSumExp":    {{18, axesToInput}},
	"ReduceMax":          {{18, axesToInput}},
	"ReduceMean":         {{18, axesToInput}},
	"ReduceMin":          {{18, axesToInput}},
	"ReduceProd":         {{18, axesToInput}},
	"ReduceSum":          {{13, axesToInput}},
	"ReduceSumSquare":    {{18, axesToInput}},
	"Resize":             {{11, fromFirstElement}},
	"RoiAlign":           {{16, unshifted}},
	"Scan":               {{9, older}},
	"Scatter":            {{11, renamed("ScatterElements")}},
	"Slice":              {{10, rangesToInputs}},
	"Softmax":            {{13, lastAxis}},
	"Split":              {{13, intsToInput("split")}, {18, countOutputs}},
	"Squeeze":            {{13, axesToInput}},
	"TopK":               {{10, countToInput}},
	"Unsqueeze":          {{13, axesToInput}},
	"Upsample":           {{9, scalesToInput}, {10, renamed("Resize")}, {11, fromFirstElement}},
}

// older refuses a form that exporters of such models do not write.
func older(*graph.Graph, *graph.Node) error {
	return fmt.Errorf("export at a newer opset")
}

// renamed: another operator took its place, with the same form.
func renamed(op string) func(*graph.Graph, *graph.Node) error {
	return func(_ *graph.Graph, n *graph.Node) error {
		n.Op = op
		return nil
	}
}

var axesToInput = intsToInput("axes")

// intsToInput moves a list attribute to input 1.
func intsToInput(attr string) func(*graph.Graph, *graph.Node) error {
	return func(g *graph.Graph, n *graph.Node) error {
		if !n.Has(attr) || n.In(1) != nil {
			return nil
		}
		v := n.Ints(attr)
		n.Inputs = append(n.Inputs[:1:1], g.NewConst(n.Outputs[0].Name+"."+attr, graph.Ints(v)))
		drop(n, attr)
		return nil
	}
}

// numbersToInputs moves float attributes to inputs 1, 2 …, in the dtype of input 0.
func numbersToInputs(attrs ...string) func(*graph.Graph, *graph.Node) error {
	return func(g *graph.Graph, n *graph.Node) error {
		inputs := n.Inputs[:1:1]
		for _, a := range attrs {
			if !n.Has(a) {
				inputs = append(inputs, nil)
				continue
			}
			t, err := graph.NewTensor(n.Inputs[0].Type.DType)
			if err == nil {
				err = t.SetFloat32s([]float32{n.Float(a, 0)})
			}
			if err != nil {
				return err
			}
			inputs = append(inputs, g.NewConst(n.Outputs[0].Name+"."+a, t))
			drop(n, a)
		}
		n.Inputs = inputs
		return nil
	}
}

// lastAxis: Softmax took the extents from axis on (1 by default) as one before
// opset 13, and takes that axis alone (the last by default) since.
func lastAxis(_ *graph.Graph, n *graph.Node) error {
	shape := n.Inputs[0].Type.Shape
	axis := n.Int("axis", 1)
	if axis < 0 {
		axis += int64(len(shape))
	}
	if !shape.Ranked() || axis != int64(len(shape))-1 {
		return fmt.Errorf("it is over several extents")
	}
	n.SetAttr("axis", axis)
	return nil
}

// countOutputs: since opset 18 a Split into equal parts says how many.
func countOutputs(_ *graph.Graph, n *graph.Node) error {
	if n.In(1) == nil && !n.Has("num_outputs") {
		n.SetAttr("num_outputs", len(n.Outputs))
	}
	return nil
}

// perChannel: before opset 9 there was a mean for each element, too.
func perChannel(g *graph.Graph, n *graph.Node) error {
	if n.Int("spatial", 1) != 1 {
		return older(g, n)
	}
	drop(n, "spatial")
	return nil
}

// withoutRatio: the ratio, which only training needs, became an input. Before opset
// 10 the mask had the type of the data.
func withoutRatio(g *graph.Graph, n *graph.Node) error {
	if n.Version < 10 && n.Out(1) != nil {
		return older(g, n)
	}
	drop(n, "ratio")
	return nil
}

// shorterModes: GridSample's modes lost their dimensions in their names.
func shorterModes(_ *graph.Graph, n *graph.Node) error {
	switch n.Str("mode", "bilinear") {
	case "bilinear":
		n.SetAttr("mode", "linear")
	case "bicubic":
		n.SetAttr("mode", "cubic")
	}
	return nil
}

// unshifted: RoiAlign moved no region by half an element before opset 16.
func unshifted(_ *graph.Graph, n *graph.Node) error {
	n.SetAttr("coordinate_transformation_mode", "output_half_pixel")
	return nil
}

// axisToInput: the axis of DFT, 1 by default, became input 2.
func axisToInput(g *graph.Graph, n *graph.Node) error {
	setInput(g, n, 2, "axis", graph.Ints([]int64{n.Int("axis", 1)}).Reshape())
	return nil
}

// padsToInputs: pads and value of Pad became inputs 1 and 2.
func padsToInputs(g *graph.Graph, n *graph.Node) error {
	value, err := graph.NewTensor(n.Inputs[0].Type.DType)
	if err == nil {
		err = value.SetFloat32s([]float32{n.Float("value", 0)})
	}
	if err != nil {
		return err
	}
	setInput(g, n, 1, "pads", graph.Ints(n.Ints("pads")))
	setInput(g, n, 2, "value", value)
	return nil
}

// rangesToInputs: starts, ends and axes of Slice became inputs 1 to 3.
func rangesToInputs(g *graph.Graph, n *graph.Node) error {
	setInput(g, n, 1, "starts", graph.Ints(n.Ints("starts")))
	setInput(g, n, 2, "ends", graph.Ints(n.Ints("ends")))
	if n.Has("axes") {
		setInput(g, n, 3, "axes", graph.Ints(n.Ints("axes")))
	}
	return nil
}

// countToInput: k of TopK became input 1.
func countToInput(g *graph.Graph, n *graph.Node) error {
	setInput(g, n, 1, "k", graph.Ints([]int64{n.Int("k", 0)}))
	return nil
}

// scalesToInput: the scales of Upsample became input 1.
func scalesToInput(g *graph.Graph, n *graph.Node) error {
	setInput(g, n, 1, "scales", graph.Floats(n.Floats("scales")))
	return nil
}

// fromFirstElement: before opset 11 the scales of Resize were input 1, and element i
// was sampled at i/scale: nearest took the element before it, or the one behind where
// the axis shrinks, which is one choice for all axes since.
func fromFirstElement(_ *graph.Graph, n *graph.Node) error {
	scales := n.In(1)
	n.Inputs = []*graph.Value{n.Inputs[0], nil, scales}
	n.SetAttr("coordinate_transformation_mode", "asymmetric")
	if n.Str("mode", "nearest") != "nearest" {
		n.SetAttr("mode", "linear")
		return nil
	}
	if scales == nil || scales.Const == nil {
		return fmt.Errorf("its scales are not known before it runs")
	}
	by, err := scales.Const.Float64s()
	if err != nil {
		return err
	}
	switch {
	case slices.Min(append(by, 1)) == 1:
		n.SetAttr("nearest_mode", "floor")
	case slices.Max(append(by, 1)) == 1:
		n.SetAttr("nearest_mode", "ceil")
	default:
		return fmt.Errorf("it makes one axis larger and another smaller")
	}
	return nil
}

// setInput makes a constant input i of a node, in the place of the attribute of that
// name.
func setInput(g *graph.Graph, n *graph.Node, i int, attr string, t *graph.Tensor) {
	n.Inputs = append(n.Inputs[:min(i, len(n.Inputs)):min(i, len(n.Inputs))], make([]*graph.Value, max(0, i-len(n.Inputs)))...)
	n.Inputs = append(n.Inputs, g.NewConst(n.Outputs[0].Name+"."+attr, t))
	drop(n, attr)
}

func drop(n *graph.Node, attr string) {
	for i, a := range n.Attrs {
		if a.Name == attr {
			n.Attrs = append(n.Attrs[:i:i], n.Attrs[i+1:]...)
			return
		}
	}
}
