package onnx

import (
	"maps"
	"slices"

	"mnnconv/graph"
	"mnnconv/schemas/onnx/internal/pb"
)

// encoder writes one model.
type encoder struct {
	o      SaveOptions
	opsets map[string]int64
	states map[*graph.Value]string // of outputs: the inputs whose state they are
	names  map[*graph.Value]string // in the file, where they differ from the value's own
}

// encodeModel returns the pieces of a ModelProto, which refer to the weights
// that stay inline; the others go to o.Data.
func encodeModel(m *Model, o SaveOptions) (*pieces, error) {
	e := &encoder{o: o, opsets: maps.Clone(m.Opsets), names: map[*graph.Value]string{}, states: map[*graph.Value]string{}}
	if e.opsets == nil {
		e.opsets = map[string]int64{}
	}
	g, err := e.graph(m.Graph, nil)
	if err != nil {
		return nil, err
	}
	var functions []*pieces
	for _, f := range o.Functions {
		p, err := e.function(f)
		if err != nil {
			return nil, within(err, "function %s", f.key())
		}
		functions = append(functions, p)
	}
	// IR version 4 let weights be something else than inputs, 8 brought functions.
	ir := max(m.IRVersion, 4)
	if len(functions) > 0 {
		ir = max(ir, 8)
	}
	p := &pieces{}
	head := &pb.ModelProto{
		IrVersion: ir, ProducerName: m.Producer, ProducerVersion: m.ProducerVersion,
		Domain: m.Domain, ModelVersion: m.Version, DocString: m.Doc,
	}
	tail := &pb.ModelProto{OpsetImport: opsetProtos(e.opsets), MetadataProps: metaProtos(m.Meta)}
	if err := p.proto(head); err != nil {
		return nil, err
	}
	p.message(7, g)
	if err := p.proto(tail); err != nil {
		return nil, err
	}
	for _, f := range functions {
		p.message(25, f)
	}
	return p, nil
}

// imports notes that the model uses an operator of a domain at a version.
func imports(opsets map[string]int64, n *graph.Node) error {
	have, ok := opsets[n.Domain]
	if !ok && n.Version > 0 {
		opsets[n.Domain] = int64(n.Version)
		return nil
	}
	if !ok || have != int64(n.Version) {
		return unsupported("written for opset %d of %s, the model is saved at %d: raise the node first", n.Version, domainName(n.Domain), have)
	}
	return nil
}

func opsetProtos(opsets map[string]int64) []*pb.OperatorSetIdProto {
	var list []*pb.OperatorSetIdProto
	for _, domain := range slices.Sorted(maps.Keys(opsets)) {
		list = append(list, &pb.OperatorSetIdProto{Domain: domain, Version: opsets[domain]})
	}
	return list
}

func metaProtos(meta map[string]string) []*pb.StringStringEntryProto {
	var list []*pb.StringStringEntryProto
	for _, key := range slices.Sorted(maps.Keys(meta)) {
		list = append(list, &pb.StringStringEntryProto{Key: key, Value: meta[key]})
	}
	return list
}
