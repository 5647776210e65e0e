package host

import (
	"bytes"
	"context"
	"errors"
	"math"
	"math/rand/v2"
	"testing"

	"mnnconv/graph"
	"mnnconv/schemas/op"
)

// scatterGraph writes an update into a state, of which past is the content.
func scatterGraph(past, update, at *graph.Tensor) *graph.Graph {
	g := graph.New("state")
	ins := []*graph.Value{g.NewInput("past", past.Type()), g.NewInput("update", update.Type())}
	if at != nil {
		ins = append(ins, g.NewInput("at", at.Type()))
	}
	n := addNode(g, "", "TensorScatter", ins, 1)
	g.States = []graph.State{{In: ins[0], Out: n.Outputs[0]}}
	return g
}

func TestTensorScatter(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for _, d := range movedTypes {
		for _, k := range []struct{ past, update, at *graph.Tensor }{
			{filled(r, d, 2, 3, 7, 4), filled(r, d, 2, 3, 2, 4), ints(5, 0)},
			{filled(r, d, 1, 2, 7, 4), filled(r, d, 1, 2, 7, 4), ints(0)},
			{filled(r, d, 2, 7, 4), filled(r, d, 2, 3, 4), nil},
			{filled(r, d, 2, 7, 4), filled(r, d, 2, 0, 4), ints(7, 3)},
			{filled(r, d, 0, 7, 4), filled(r, d, 0, 1, 4), ints()},
		} {
			g := scatterGraph(k.past, k.update, k.at)
			in := []*graph.Tensor{k.past, k.update}
			if k.at != nil {
				in = append(in, k.at)
			}
			want, err := op.All().Run(context.Background(), g, in, nil)
			if err != nil {
				t.Fatal(err)
			}
			group := Lower(g, Math{})[0]
			if group.Kernel == nil || !group.InPlace {
				t.Fatal("no kernel writes the state where it lies")
			}
			state := *k.past
			state.Data = bytes.Clone(k.past.Data)
			if err := group.Kernel(&Call{Ctx: context.Background(), In: in, Out: []*graph.Tensor{&state}}); err != nil {
				t.Fatal(err)
			}
			if err := near(&state, want[0], 0, 0); err != nil {
				t.Errorf("%s into %s: %v", k.update.Type(), k.past.Type(), err)
			}
		}
	}
}

func TestTensorScatterRefusesPlaces(t *testing.T) {
	past, update := graph.Floats(make([]float32, 28), 1, 7, 4), graph.Floats(make([]float32, 8), 1, 2, 4)
	kernel := Lower(scatterGraph(past, update, ints(0)), Math{})[0].Kernel
	for _, in := range [][]*graph.Tensor{
		{past, update, ints(6)}, {past, update, ints(-1)}, {past, update, ints(math.MaxInt64)}, {past, update, ints()},
		{past, update.Reshape(1, 1, 8), ints(0)}, {past, graph.Floats(make([]float32, 32), 1, 8, 4), ints(0)},
	} {
		if err := kernel(&Call{Ctx: context.Background(), In: in, Out: []*graph.Tensor{past}}); !errors.Is(err, op.ErrInput) {
			t.Errorf("%s at %v: got %v, want %v", in[1].Type(), graph.View[int64](in[2]), err, op.ErrInput)
		}
	}
}
