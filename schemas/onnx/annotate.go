package onnx

import (
	"maps"

	"mnnconv/graph"
	"mnnconv/schemas/onnx/internal/pb"
)

// What a graph knows and ONNX has no field for goes into metadata properties,
// if [SaveOptions].Annotate asks for it: of nodes, the canonical path, and where
// they were placed and why; of values, the exporter's name, the space, and of a
// graph output the input whose state it is. Extents are then written as dims.
const (
	metaPath   = "mnnconv.path"
	metaTarget = "mnnconv.target"
	metaCause  = "mnnconv.cause"
	metaFrom   = "mnnconv.from"
	metaSpace  = "mnnconv.space"
	metaState  = "mnnconv.state"
)

// annotateNode returns the metadata of n with what else is known of it.
func (e *encoder) annotateNode(n *graph.Node) map[string]string {
	if !e.o.Annotate {
		return n.Meta
	}
	return annotated(n.Meta, metaPath, n.Path, metaTarget, n.Target, metaCause, n.Cause)
}

// annotateValue returns the metadata of v.
func (e *encoder) annotateValue(v *graph.Value) map[string]string {
	if !e.o.Annotate {
		return nil
	}
	return annotated(nil, metaFrom, v.From, metaSpace, string(v.Type.Space), metaState, e.states[v])
}

// annotated adds keys and values, in turn, to a copy of meta; empty ones are
// left out.
func annotated(meta map[string]string, pairs ...string) map[string]string {
	out := map[string]string{}
	maps.Copy(out, meta)
	for i := 0; i < len(pairs); i += 2 {
		if pairs[i+1] != "" {
			out[pairs[i]] = pairs[i+1]
		}
	}
	return out
}

// readNode takes the annotations of n out of its metadata.
func (d *decoder) readNode(n *graph.Node) {
	if !d.o.Annotations {
		return
	}
	pull := func(key string) string {
		v := n.Meta[key]
		delete(n.Meta, key)
		return v
	}
	n.Path, n.Target, n.Cause = pull(metaPath), pull(metaTarget), pull(metaCause)
	if len(n.Meta) == 0 {
		n.Meta = nil
	}
}

// readValue reads the annotations of v.
func (d *decoder) readValue(v *graph.Value, info *pb.ValueInfoProto) error {
	if !d.o.Annotations {
		return nil
	}
	meta, err := d.meta(info.GetMetadataProps())
	v.From, v.Type.Space = meta[metaFrom], graph.Space(meta[metaSpace])
	return err
}

// readStates finds the states of g among its outputs.
func (d *decoder) readStates(s *scope, outputs []*pb.ValueInfoProto) error {
	if !d.o.Annotations {
		return nil
	}
	for i, info := range outputs {
		meta, err := d.meta(info.GetMetadataProps())
		if err != nil {
			return err
		}
		name, ok := meta[metaState]
		if !ok {
			continue
		}
		in := s.names[name]
		if in == nil || in.Def != nil || in.Const != nil {
			return malformed("graph output %s is the state of %s, which is no graph input", quote(info.GetName()), quote(name))
		}
		s.g.States = append(s.g.States, graph.State{In: in, Out: s.g.Outputs[i]})
	}
	return nil
}

// readDim reads the name of an extent as a dim.
func (d *decoder) readDim(name string) (graph.Dim, error) {
	dim, err := graph.ParseDim(name)
	if err != nil {
		return dim, malformed("extent %s: %w", quote(name), err)
	}
	return dim, nil
}
