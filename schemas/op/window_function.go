package op

import (
	"math"

	"mnnconv/graph"
)

// What the window functions share.

func inferWindowFunction(in *Inference) error {
	d, err := windowType(in.Node)
	if err != nil {
		return err
	}
	n := in.Fresh("window")
	if v, ok := in.Elements(0); ok && len(v) == 1 {
		n = v[0]
	}
	in.SetTensor(0, d, graph.Shape{n})
	return nil
}

func windowType(n *graph.Node) (graph.DType, error) {
	d, err := dtypeAttr(n, "output_datatype")
	if d == graph.Undefined {
		d = graph.Float32
	}
	return d, err
}

// evalWindowFunction sets output 0 to f of the angles from 0 to 2π, which the last
// element reaches unless the window is periodic (the default).
func evalWindowFunction(c *Call, f func(angle float64) float64) error {
	d, err := windowType(c.Node)
	if err != nil {
		return err
	}
	size, err := c.one(0, 0)
	if err != nil {
		return err
	}
	if !isReal(d) && !isInteger(d) {
		return undefinedFor(d)
	}
	out, err := c.New(0, d, size)
	if err != nil {
		return err
	}
	n := float64(size)
	if c.Node.Int("periodic", 1) == 0 {
		n--
	}
	v := make([]float64, size)
	for i := range v {
		if v[i] = 1; n > 0 {
			v[i] = f(2 * math.Pi * float64(i) / n)
		}
	}
	return storeNumbers(out, v)
}
