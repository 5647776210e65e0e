package partition

import (
	"slices"

	"mnnconv/graph"
)

// Route is the way a copy's bytes go.
type Route string

// The routes.
const (
	// Direct is one transfer: between the host and a device, or between two devices that
	// reach one memory.
	Direct Route = "direct"
	// Staged goes through a ring of pinned host memory.
	Staged Route = "staged"
)

// What the ring of a staged route holds: while the target empties one slot, the source
// fills the next. A piece costs some 100 µs beside its bytes, and the first one waits for
// nothing.
const (
	StageSlots = 3
	StageBytes = 4 << 20 // of a slot, at most
)

// Route is the way that is planned for a copy, as the profiles of two devices promise it:
// two interfaces to one GPU have its UUID, peers name each other's. A session may find that
// it does not work and take the staged one.
func (p *Plan) Route(copy *graph.Node) Route {
	between := SpacesOf(copy)
	if slices.Contains(between[:], graph.Host) {
		return Direct
	}
	a, _ := p.Profile(string(between[0]))
	b, _ := p.Profile(string(between[1]))
	switch {
	case a.UUID == "" || b.UUID == "": // not known, or not planned for
		return Staged
	case a.UUID == b.UUID, slices.Contains(a.Peers, b.UUID) && slices.Contains(b.Peers, a.UUID):
		return Direct
	}
	return Staged
}

// Between is two spaces, the lesser name first.
type Between [2]graph.Space

// SpacesOf are those that a copy goes between.
func SpacesOf(copy *graph.Node) Between {
	a, b := copy.Inputs[0].Type.Space, copy.Outputs[0].Type.Space
	if b < a {
		a, b = b, a
	}
	return Between{a, b}
}

// Links are the pairs of devices between which copies go directly, each with the one
// that does them, whichever way they go.
type Links map[Between]string

// queueOf is the device whose queue runs a copy.
func (l Links) queueOf(copy *graph.Node) string {
	src, dst := copy.Inputs[0].Type.Space, copy.Outputs[0].Type.Space
	if dst == graph.Host {
		return string(src)
	}
	if by, ok := l[SpacesOf(copy)]; ok {
		return by
	}
	return string(dst)
}
