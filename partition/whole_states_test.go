package partition

import (
	"errors"
	"strings"
	"testing"

	"mnnconv/graph"
)

// whole lowers all nodes to one kernel.
type whole struct{}

func (whole) Lower(_ Profile, g *graph.Graph) ([]Kernel, error) {
	return []Kernel{{Name: "all", Nodes: g.Nodes, In: g.Inputs, Out: g.Outputs}}, nil
}

// TestWholeStates refuses devices that would convert a state before they read it.
func TestWholeStates(t *testing.T) {
	const text = `input %x: float16[1, 1, 2, 4] input %kv: float16[1, 1, 8, 4]
		%new = TensorScatter-24(%kv, %x) {axis = -2} %wide = Cast-24(%new) {to = 1} %y = Neg-13(%wide)
		output %y output %new state %kv -> %new`
	on := devices("cpu")
	for i := range on {
		on[i].Lowerer = whole{}
	}
	if _, err := Build("extend", parse(t, text), nil, on); err != nil {
		t.Error(err)
	}
	_, err := Build("extend", parse(t, text), nil, devices("cpu"))
	if !errors.Is(err, ErrPlacement) || !strings.Contains(err.Error(), `"kv"`) || !strings.Contains(err.Error(), "--state") {
		t.Errorf("%v", err)
	}
	const coded = `input %x: int8[1, 1, 2, 4] input %by: float32[1, 1, 8, 1] input %kv: int8[1, 1, 8, 4]
		%new = TensorScatter-24(%kv, %x) {axis = -2} %wide = DequantizeLinear-24(%new, %by) {axis = -1, block_size = 4} %half = Cast-24(%wide) {to = 10} %y = Neg-13(%half)
		output %y output %new state %kv -> %new`
	_, err = Build("extend", parse(t, coded), nil, devices("cpu"))
	if !errors.Is(err, ErrPlacement) || !strings.Contains(err.Error(), "Keep the state as float16") {
		t.Errorf("%v", err)
	}
	plain := strings.ReplaceAll(text, "%wide = Cast-24(%new) {to = 1} %y = Neg-13(%wide)", "%wide = Cast-24(%x) {to = 1} %y = Neg-13(%new) %z = Neg-13(%wide) output %z")
	if _, err := Build("extend", parse(t, plain), nil, devices("cpu")); err != nil {
		t.Error(err)
	}
}
