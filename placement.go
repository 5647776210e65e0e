package mnnconv

import (
	"errors"
	"fmt"
	"maps"
	"strings"

	"mnnconv/graph"
	"mnnconv/partition"
	"mnnconv/runtime"
)

// directions are what decides where nodes run and what memory they may take.
type directions struct {
	rules  []partition.Rule
	memory partition.Policy
	notes  []string // what people should know of where the rules come from
}

// autoPlace are rules that leave the choice of a device to auto.
const autoPlace = "auto"

// directions reads the rules of the options: text, a file behind an @, or, where
// there are none, what the folder's own settings wish. Automatic placement is
// resolved by auto. s is nil before a model is read.
func (o Options) directions(s *Source) (*directions, error) {
	d := &directions{memory: partition.Policy{}}
	if s != nil && s.Package != nil && !s.Recut(o) { // spaces are those of its own placement
		maps.Copy(d.memory, s.Package.Memory)
	}
	var err error
	switch file, isFile := strings.CutPrefix(o.Place, "@"); {
	case isFile:
		f, err := partition.LoadRules(file)
		if err != nil {
			return nil, err
		}
		d.rules, d.memory = f.Rules, f.Memory
	case o.Place == autoPlace:
		if s == nil {
			break
		}
		device, why, err := s.auto(o)
		if err != nil {
			return nil, err
		}
		if d.rules, err = partition.ParseRules(device); err != nil {
			return nil, err
		}
		for i := range d.rules {
			d.rules[i].Source = autoPlace
		}
		d.notes = append(d.notes, fmt.Sprintf("%s places everything on %s: %s", autoPlace, device, why))
	case o.Place == "" && s != nil:
		for _, w := range s.Info.Wishes {
			rules, err := partition.ParseRules(w.Rule)
			if err == nil {
				err = o.known(rules)
			}
			if err != nil {
				return nil, fmt.Errorf("%s: %s says %s: %w; overrule it with --place, cpu for one", s.Path, w.Source, w.Rule, err)
			}
			for i := range rules {
				rules[i].Source = w.Source
			}
			d.rules = append(d.rules, rules...)
			d.notes = append(d.notes, fmt.Sprintf("placed %s, as %s says; --place overrules it", w.Rule, w.Source))
		}
	default:
		if d.rules, err = partition.ParseRules(o.Place); err != nil {
			return nil, err
		}
	}
	maps.Copy(d.memory, o.Memory) // flags win over a file
	if o.Fallback != "" {
		d.rules = append(d.rules, partition.FallbackTo(o.Fallback))
	}
	return d, nil
}

// Policy returns what sessions over a source and its plans may take of each memory
// and what they release: what the options say, what a file of rules does, or the
// policy that a package keeps.
func Policy(s *Source, plans []*partition.Plan, o Options) (partition.Policy, error) {
	d, err := o.directions(s)
	if err != nil {
		return nil, err
	}
	if err := d.memory.Check(plans); err != nil {
		return nil, fmt.Errorf("%s: %w", s.Path, err)
	}
	return d.memory, nil
}

// known returns an error for a device of a backend that neither is here nor is
// described.
func (o Options) known(rules []partition.Rule) error {
	for _, r := range rules {
		if _, err := o.target(r.Target); err != nil {
			return err
		}
	}
	return nil
}

// targetsOf describes the devices that rules name, and the cpu.
func (o Options) targetsOf(rules []partition.Rule) ([]partition.Target, error) {
	names := []string{string(graph.Host)}
	for _, r := range rules {
		names = append(names, r.Target)
	}
	return o.targets(names)
}

// Targets describes the devices that the options' rules name, and the cpu. A device
// that is named, and neither here nor described, is an error that says what was
// looked for. No model needs to be read for it.
func Targets(o Options) ([]partition.Target, error) {
	d, err := o.directions(nil)
	if err != nil {
		return nil, err
	}
	return o.targetsOf(d.rules)
}

// targets describes devices by their names, each once. Options.Devices describe
// devices that need not be here; others are asked for their profiles.
func (o Options) targets(names []string) ([]partition.Target, error) {
	var targets []partition.Target
	seen := map[string]bool{}
	for _, name := range names {
		if seen[name] {
			continue
		}
		seen[name] = true
		t, err := o.target(name)
		if err != nil {
			return nil, err
		}
		targets = append(targets, t)
	}
	return targets, nil
}

// target describes one device. One that is not here is lowered as the cpu is.
func (o Options) target(name string) (partition.Target, error) {
	b, ordinal, err := backendOf(o.Backends, name)
	if errors.Is(err, partition.ErrRules) {
		return partition.Target{}, err
	}
	var have []string
	for _, p := range o.Devices {
		have = append(have, p.Name)
		if p.Name != name {
			continue
		}
		if err != nil {
			if b, _, err = backendOf(o.Backends, string(graph.Host)); err != nil {
				return partition.Target{}, err
			}
		}
		return partition.Target{Profile: p, Lowerer: b}, nil
	}
	if len(have) > 0 && name != string(graph.Host) {
		return partition.Target{}, fmt.Errorf("%w: device %q is not among those of --devices (%s)", partition.ErrPlacement, name, strings.Join(have, ", "))
	}
	if err != nil {
		return partition.Target{}, err
	}
	p, err := b.Profile(ordinal)
	return partition.Target{Profile: p, Lowerer: b}, err
}

// backendOf returns the backend of a device by its name, and the device's ordinal.
func backendOf(backends []runtime.Backend, device string) (runtime.Backend, int, error) {
	kind, number, _ := strings.Cut(device, ":")
	ordinal := 0
	if number != "" {
		if n, err := fmt.Sscanf(number, "%d", &ordinal); n != 1 || err != nil || fmt.Sprint(ordinal) != number {
			return nil, 0, fmt.Errorf("%w: %q is not a device such as sim:0", partition.ErrRules, device)
		}
	}
	var have []string
	for _, b := range backends {
		if b.Name() == kind {
			return b, ordinal, nil
		}
		have = append(have, b.Name())
	}
	return nil, 0, fmt.Errorf("%w: no backend %q (there are %s; see `mnnconv devices`)", partition.ErrPlacement, kind, strings.Join(have, ", "))
}

// open opens the device that a target describes. One that is planned for and not
// here, or another one in its place, is an error.
func (o Options) open(t partition.Target) (runtime.Device, error) {
	name := t.Profile.Name
	b, ordinal, err := backendOf(o.Backends, name)
	if err != nil {
		return nil, fmt.Errorf("%w: %s was planned for and is not here: %w", runtime.ErrUnavailable, name, err)
	}
	here, err := b.Profile(ordinal)
	if err != nil {
		return nil, fmt.Errorf("%s was planned for: %w", name, err)
	}
	if t.Profile.UUID != "" && here.UUID != t.Profile.UUID {
		return nil, fmt.Errorf("%w: %s was planned for as %s (%s), here it is %s (%s); plan again without --devices", runtime.ErrUnavailable,
			name, t.Profile.UUID, t.Profile.Vendor, here.UUID, here.Vendor)
	}
	return b.Open(t.Profile)
}
