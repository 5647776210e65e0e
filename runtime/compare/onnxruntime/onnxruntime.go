// Package onnxruntime is a reference that shares no line with mnnconv: onnxruntime,
// whose library is opened at run time, with its optimiser off.
package onnxruntime

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"mnnconv/graph"
	"mnnconv/runtime/compare"
)

// Encoder writes a graph as an ONNX model.
type Encoder func(*graph.Graph) ([]byte, error)

// Reference evaluates in onnxruntime. All values of a graph are made outputs, so
// that all of them are told.
type Reference struct {
	api         *api
	encode      Encoder
	env, memory uintptr
	sessions    map[*graph.Graph]*session
}

type session struct {
	handle  uintptr
	outputs []string
}

// Open opens the library at path; empty: where it usually is. One that is absent is an
// error that wraps runtime.ErrUnavailable and says what was looked for.
func Open(path string, encode Encoder) (*Reference, error) {
	a, err := openAPI(path)
	if err != nil {
		return nil, err
	}
	r := &Reference{api: a, encode: encode, sessions: map[*graph.Graph]*session{}}
	if err := a.check(a.createEnv(logErrors, "mnnconv", &r.env)); err != nil {
		return nil, err
	}
	if err := a.check(a.createCPUMemory(deviceAllocator, defaultMemory, &r.memory)); err != nil {
		return nil, errors.Join(err, r.Close())
	}
	return r, nil
}

// Version returns the library's version.
func (r *Reference) Version() string { return r.api.version }

// Exact implements [compare.Reference]: of 16-bit floats the library computes some
// nodes in float32 without rounding in between.
func (r *Reference) Exact() bool { return false }

// Close releases sessions; the library stays.
func (r *Reference) Close() error {
	for _, s := range r.sessions {
		r.api.releaseSession(s.handle)
	}
	r.sessions = nil
	if r.memory != 0 {
		r.api.releaseMemory(r.memory)
	}
	r.api.releaseEnv(r.env)
	return nil
}

// Run implements [compare.Reference].
func (r *Reference) Run(ctx context.Context, g *graph.Graph, in compare.Trace) (compare.Trace, error) {
	s := r.sessions[g]
	if s == nil {
		var err error
		if s, err = r.load(g); err != nil {
			return nil, err
		}
		r.sessions[g] = s
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	trace, inputs := compare.Trace{}, map[string]*graph.Tensor{}
	for _, v := range g.Inputs {
		t := in[v.Name]
		if t == nil {
			return nil, fmt.Errorf("%w: input %q is missing", graph.ErrType, v.Name)
		}
		trace[v.Name], inputs[v.Name] = t, t
	}
	outs, err := r.api.run(s.handle, r.memory, inputs, s.outputs)
	if err != nil {
		return nil, err
	}
	for i, name := range s.outputs {
		trace[name] = outs[i]
	}
	return trace, nil
}

// load makes a session of a graph that puts out every value.
func (r *Reference) load(g *graph.Graph) (*session, error) {
	all, _ := g.Clone()
	all.Outputs, all.States = nil, nil
	s := &session{}
	for _, n := range all.Nodes {
		if n.Op == "MatMulNBits" { // it allows the library to round activations to int8
			n.Attrs = slices.DeleteFunc(n.Attrs, func(a graph.Attr) bool { return a.Name == "accuracy_level" })
		}
		for _, v := range n.Outputs {
			if v != nil && v.Type.Kind == graph.TensorKind {
				all.Outputs, s.outputs = append(all.Outputs, v), append(s.outputs, v.Name)
			}
		}
	}
	model, err := r.encode(all)
	if err != nil {
		return nil, err
	}
	s.handle, err = r.api.session(r.env, model)
	return s, err
}
