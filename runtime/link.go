package runtime

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"

	"mnnconv/graph"
	"mnnconv/partition"
)

// link is a direct way between the arenas of two devices: one of them imported the
// other's and copies, whichever way the bytes go.
type link struct {
	by  graph.Space // whose device copies
	far Buffer      // what it imported; nil: there is no such way
	err error       // why
}

// Way is how copies go between two devices in a session.
type Way struct {
	Between partition.Between
	Planned partition.Route
	Taken   partition.Route
	Why     error // what is wrong with the one that was planned; nil: it is taken
}

// Ways lists the ways between devices.
func (a *Arenas) Ways() []Way {
	ways := map[partition.Between]Way{}
	for _, l := range a.phases {
		for _, n := range l.plan.Copies() {
			between := partition.SpacesOf(n)
			if slices.Contains(between[:], graph.Host) {
				continue
			}
			w := Way{Between: between, Planned: l.plan.Route(n)}
			w.Taken, w.Why = a.route(n)
			ways[between] = w
		}
	}
	return slices.SortedFunc(maps.Values(ways), func(x, y Way) int {
		return cmp.Or(cmp.Compare(x.Between[0], y.Between[0]), cmp.Compare(x.Between[1], y.Between[1]))
	})
}

// route is the way that a copy takes; the error is why that is not the planned one.
func (a *Arenas) route(n *graph.Node) (partition.Route, error) {
	between := partition.SpacesOf(n)
	l := a.links[between]
	switch {
	case slices.Contains(between[:], graph.Host):
		return partition.Direct, nil
	case l == nil:
		return partition.Staged, nil
	case l.err != nil:
		return partition.Staged, l.err
	}
	return partition.Direct, nil
}

// promised notes the pairs of devices whose copies are planned to be direct, and returns
// the spaces whose memory is to be exported for that.
func (a *Arenas) promised(devices map[graph.Space]Device) map[graph.Space]bool {
	shared := map[graph.Space]bool{}
	for _, l := range a.phases {
		for _, n := range l.plan.Copies() {
			between := partition.SpacesOf(n)
			if slices.Contains(between[:], graph.Host) || a.links[between] != nil || l.plan.Route(n) != partition.Direct {
				continue
			}
			a.links[between] = &link{}
			for _, space := range between {
				if _, ok := devices[space].(Exporter); ok {
					shared[space] = true
				}
			}
		}
	}
	return shared
}

// openLinks opens the direct ways. Where one does not work copies go through the host,
// and the link has the reason.
func (a *Arenas) openLinks(devices map[graph.Space]Device) {
	for _, between := range slices.SortedFunc(maps.Keys(a.links), func(x, y partition.Between) int {
		return cmp.Or(cmp.Compare(x[0], y[0]), cmp.Compare(x[1], y[1]))
	}) {
		l := a.links[between]
		for _, by := range between {
			far := between[0]
			if by == far {
				far = between[1]
			}
			err := l.open(a, devices, by, far)
			if err == nil {
				l.err = nil
				break
			}
			l.err = errors.Join(l.err, fmt.Errorf("%s cannot reach the memory of %s: %w", by, far, err))
		}
	}
}

// open has one device import the other's arena.
func (l *link) open(a *Arenas, devices map[graph.Space]Device, by, far graph.Space) error {
	importer, ok1 := devices[by].(Importer)
	exporter, ok2 := devices[far].(Exporter)
	if !ok1 || !ok2 || a.buffers[by] == nil || a.buffers[far] == nil {
		return errors.New("it imports none, or none is exported")
	}
	e, err := exporter.Export(a.buffers[far])
	if err != nil {
		return err
	}
	b, err := importer.Import(e, a.buffers[far])
	if err != nil {
		return err
	}
	l.by, l.far = by, b
	if err := l.try(devices[by], devices[far], a.buffers[by], a.buffers[far]); err != nil {
		return errors.Join(err, l.close())
	}
	return nil
}

// tried is how many bytes at each end of the arenas are tried.
const tried = 64 << 10

// try sends bytes both ways and looks whether they came.
func (l *link) try(near, far Device, here, there Buffer) error {
	n := min(tried, here.Size(), there.Size())
	for i, at := range []int64{0, (there.Size() - n) &^ 0xff} {
		n := min(n, there.Size()-at)
		pattern := make([]byte, n)
		for k := range pattern {
			pattern[k] = byte(k*131 + k>>9 + i)
		}
		mine, its := View{here, 0, n}, View{there, at, n}
		afar := View{l.far, at, n} // as the device that copies has it
		for _, way := range []struct {
			from, to     Device
			source, dest View
			seen, put    View
		}{
			{far, near, its, mine, afar, mine}, {near, far, mine, its, mine, afar},
		} {
			for k := range pattern {
				pattern[k] ^= 0x5a
			}
			if err := Store(way.from, way.source, pattern); err != nil {
				return err
			}
			if err := wait(near.Transfer(way.put, way.seen, nil)); err != nil {
				return err
			}
			got, err := Fetch(way.to, Bound{View: way.dest, DType: graph.Uint8, Shape: []int64{n}})
			if err != nil {
				return err
			}
			if !bytes.Equal(got.Data, pattern) {
				return fmt.Errorf("%w: of %d bytes tried, from %s to %s, others came", ErrExecution, n, way.source.Buffer.Space(), way.dest.Buffer.Space())
			}
		}
	}
	return nil
}

func (l *link) close() error {
	if l.far == nil {
		return nil
	}
	b := l.far
	l.far = nil
	return b.Close()
}
