package op

import (
	"math"
	"math/rand/v2"

	"mnnconv/graph"
)

// What the random operators share.

// generator returns the node's random numbers: by the attribute seed always the
// same ones, without it others in each call.
func generator(n *graph.Node) *rand.Rand {
	if seed, ok := n.Attr("seed").(float32); ok {
		return rand.New(rand.NewPCG(uint64(math.Float32bits(seed)), 0))
	}
	return rand.New(rand.NewPCG(rand.Uint64(), rand.Uint64()))
}

// randomType returns the attribute dtype, or a default.
func randomType(n *graph.Node, def graph.DType) (graph.DType, error) {
	d, err := dtypeAttr(n, "dtype")
	switch {
	case err != nil:
		return 0, err
	case d == graph.Undefined:
		d = def
	}
	if !isReal(d) {
		return 0, undefinedFor(d)
	}
	return d, nil
}

// inferRandom infers random numbers of the shape of input 0, or of the attribute.
func inferRandom(in *Inference) error {
	def, s := graph.Float32, graph.Shape(nil)
	if len(in.Node.Inputs) > 0 {
		if s = in.Type(0).Shape; isReal(in.Type(0).DType) {
			def = in.Type(0).DType
		}
	} else {
		shape := in.Node.Ints("shape")
		if _, err := graph.Elements(shape); err != nil {
			return inputErrorf("%v", err)
		}
		s = graph.Shape(dimsOf(shape))
	}
	d, err := randomType(in.Node, def)
	in.SetTensor(0, d, s)
	return err
}

// evalRandom draws every element of output 0.
func evalRandom(c *Call, draw func(r *rand.Rand) float64) error {
	def, shape := graph.Float32, c.Node.Ints("shape")
	if x := c.Arg(0); x != nil {
		if shape = x.Shape; isReal(x.DType) {
			def = x.DType
		}
	}
	d, err := randomType(c.Node, def)
	if err != nil {
		return err
	}
	out, err := c.New(0, d, shape...)
	if err != nil {
		return err
	}
	r, v := generator(c.Node), make([]float64, out.Len())
	for i := range v {
		v[i] = draw(r)
	}
	return storeFloats(out, v)
}

func evalNormal(c *Call) error {
	mean, scale := float64(c.Node.Float("mean", 0)), float64(c.Node.Float("scale", 1))
	return evalRandom(c, func(r *rand.Rand) float64 { return mean + float64(scale*r.NormFloat64()) })
}

func evalUniform(c *Call) error {
	low, high := float64(c.Node.Float("low", 0)), float64(c.Node.Float("high", 1))
	return evalRandom(c, func(r *rand.Rand) float64 { return low + float64((high-low)*r.Float64()) })
}
