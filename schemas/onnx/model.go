package onnx

import (
	"math"

	"google.golang.org/protobuf/encoding/protowire"

	"mnnconv/schemas/onnx/internal/pb"
)

// The versions of the format that are known.
const (
	minIR    = 3
	maxIR    = 14
	maxOpset = 27
)

// Fields of a ModelProto; training and other runtimes' devices are skipped.
const (
	modelGraph    = 7
	modelTraining = 20
	modelFunction = 25
	modelDevices  = 26
	modelHeld     = 1<<modelGraph | 1<<modelTraining | 1<<modelFunction | 1<<modelDevices
)

// decodeModel decodes a ModelProto into m. The graph comes before the opset
// imports in the file and is decoded after them.
func (d *decoder) decodeModel(m *Model, file span) error {
	p := &pb.ModelProto{}
	var main *span
	err := d.message(file, 1, p, held{modelHeld, func(num protowire.Number, s span) error {
		if num != modelGraph {
			return nil
		}
		if main != nil {
			return malformed("byte %d: the model has two graphs", s.at)
		}
		main = &s
		return nil
	}})
	if err != nil {
		return err
	}
	end := len(file.b)
	m.IRVersion, m.Version, m.Doc = p.GetIrVersion(), p.GetModelVersion(), p.GetDocString()
	m.Producer, m.ProducerVersion, m.Domain = p.GetProducerName(), p.GetProducerVersion(), p.GetDomain()
	switch {
	case main == nil && m.IRVersion == 0:
		return malformed("byte %d: the file ends and had neither a graph nor an IR version", end)
	case m.IRVersion == 0:
		return malformed("the IR version is missing or 0; %d to %d have support", minIR, maxIR)
	case m.IRVersion < 0:
		return malformed("IR version %d; %d to %d have support", m.IRVersion, minIR, maxIR)
	case m.IRVersion < minIR || m.IRVersion > maxIR:
		return unsupported("IR version %d; %d to %d have support", m.IRVersion, minIR, maxIR)
	case main == nil:
		return malformed("byte %d: the file ends and had no graph", end)
	}
	if m.Meta, err = d.meta(p.GetMetadataProps()); err != nil {
		return err
	}
	if m.Opsets, err = d.opsets(p.GetOpsetImport()); err != nil {
		return err
	}
	if len(m.Opsets) == 0 {
		return malformed("byte %d: the file ends and imported no operator set; opsets 1 to %d of ai.onnx have support", end, maxOpset)
	}
	if err := d.readFunctions(file); err != nil {
		return err
	}
	top, err := d.graph(*main, &scope{opsets: m.Opsets}, 2)
	if err != nil {
		return err
	}
	m.Graph = top.g
	return d.external.check()
}

// opsets checks a list of opset imports.
func (d *decoder) opsets(list []*pb.OperatorSetIdProto) (map[string]int64, error) {
	out := make(map[string]int64, len(list))
	for _, o := range list {
		domain, version := domainOf(o.GetDomain()), o.GetVersion()
		if err := d.name(domain); err != nil {
			return nil, err
		}
		if err := d.take(96); err != nil {
			return nil, err
		}
		newest := int64(math.MaxInt32)
		if domain == "" {
			newest = maxOpset
		}
		if version < 1 {
			return nil, malformed("opset %d of %s (missing, 0 or negative); 1 to %d have support", version, domainName(domain), newest)
		}
		if version > newest {
			return nil, unsupported("opset %d of %s; 1 to %d have support", version, domainName(domain), newest)
		}
		if v, twice := out[domain]; twice && v != version {
			return nil, malformed("opsets %d and %d of %s are both imported", v, version, domainName(domain))
		}
		out[domain] = version
	}
	return out, nil
}
