package mnnconv

import (
	"errors"
	"fmt"
	"slices"
	"sort"
	"strconv"
	"strings"

	"mnnconv/graph"
	"mnnconv/partition"
)

// mostUsers is how many of the largest users of a memory are named.
const mostUsers = 4

// Short returns an error if plans need more memory than there is, as [partition.Budget]
// says it, with the largest users of each memory that is too small. If leaving some stages
// and layers to another device helps, it names that placement: it was planned and fits.
func Short(s *Source, plans []*partition.Plan, b *partition.Budget, o Options) error {
	var errs, largest []error
	var short []graph.Space
	for i := range b.Spaces {
		space := &b.Spaces[i]
		err := space.Check()
		if err == nil {
			continue
		}
		short = append(short, space.Space)
		users := space.Users(plans)
		var named []string
		for _, u := range users[:min(mostUsers, len(users))] {
			named = append(named, fmt.Sprintf("%s %d", u.Name, u.Bytes))
		}
		errs = append(errs, err)
		largest = append(largest, fmt.Errorf("%w: %s: the largest there: %s bytes", partition.ErrMemory, space.Space, strings.Join(named, ", ")))
	}
	if len(short) > 0 {
		if place := s.fitting(plans, short, o); place != "" {
			errs = append(errs, fmt.Errorf("%w: what fits: --place %s", partition.ErrMemory, place))
		}
	}
	return errors.Join(append(errs, largest...)...)
}

// fitting looks for a placement that fits: that of the plans, with some of the stages
// and layers in the short memories on another device, the first that has room, or on
// the cpu. Which: the last ones of all, or of one stage, whose weights take the fewest
// bytes. Empty: there is none, or it cannot be written as --place.
func (s *Source) fitting(plans []*partition.Plan, short []graph.Space, o Options) string {
	d, err := o.directions(s)
	if err != nil {
		return ""
	}
	base := d.rules
	if s.Package != nil && !s.Recut(o) {
		if base, err = partition.ParseRules(s.Package.Rules); err != nil {
			return ""
		}
	}
	var all []partition.User
	for _, space := range short {
		all = append(all, partition.UnitsOn(plans, space)...)
	}
	groups := [][]partition.User{all}
	for _, stage := range partition.Stages(plans) {
		of := slices.DeleteFunc(slices.Clone(all), func(u partition.User) bool { return u.Name != stage && !strings.HasPrefix(u.Name, stage+".") })
		if len(of) < len(all) {
			groups = append(groups, of)
		}
	}
	for _, to := range o.withRoom(plans, short) {
		var best []partition.Rule
		var least int64
		for _, units := range groups {
			rules := func(moved int) ([]partition.Rule, error) {
				r, err := partition.ParseRules(strings.Join(onto(units[len(units)-moved:], to), ","))
				return append(r, base...), err
			}
			fits := func(moved int) bool {
				r, err := rules(moved)
				if err != nil {
					return false
				}
				tried, err := s.try(r, o)
				return err == nil && s.weigh(tried, d.memory, o) == nil
			}
			if len(units) == 0 || !fits(len(units)) {
				continue
			}
			moved := 1 + sort.Search(len(units)-1, func(i int) bool { return fits(i + 1) })
			var bytes int64
			for _, u := range units[len(units)-moved:] {
				bytes += u.Bytes
			}
			if best == nil || bytes < least {
				if best, err = rules(moved); err != nil {
					return ""
				}
				least = bytes
			}
		}
		if place := s.placement(best, d.memory, o); best != nil && place != "" {
			return place
		}
	}
	return ""
}

// withRoom lists the devices that parts may be moved to, the cpu last: those of the
// plans, and those that auto would look at, whose memory is not short.
func (o Options) withRoom(plans []*partition.Plan, short []graph.Space) (names []string) {
	add := func(name string) {
		if !slices.Contains(short, graph.Space(name)) && !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	for _, p := range plans {
		for _, part := range p.Partitions() {
			if part.Space != graph.Host {
				add(string(part.Space))
			}
		}
	}
	found, _ := o.candidates()
	for _, p := range found {
		add(p.Name)
	}
	add(string(graph.Host))
	return names
}

// placement writes rules as --place takes them, without those that place nothing, and
// plans what it wrote: empty if that does not fit.
func (s *Source) placement(rules []partition.Rule, memory partition.Policy, o Options) string {
	tried, err := s.try(rules, o)
	if err != nil {
		return ""
	}
	stages := partition.Stages(tried)
	var texts []string
	for _, r := range rules {
		switch {
		case partition.CheckRules([]partition.Rule{r}, tried) != nil:
		case strings.Contains(r.Text, "="):
			texts = append(texts, r.Text)
		default: // one device for all
			for _, stage := range stages {
				texts = append(texts, stage+"="+r.Target)
			}
		}
	}
	text := strings.Join(texts, ",")
	written, err := partition.ParseRules(text)
	if err != nil {
		return ""
	}
	if tried, err = s.try(written, o); err != nil || s.weigh(tried, memory, o) != nil {
		return ""
	}
	if partition.CheckRules(written, tried) != nil { // a stage of a device has been left to the cpu whole
		kept := slices.DeleteFunc(written, func(r partition.Rule) bool { return partition.CheckRules([]partition.Rule{r}, tried) != nil })
		return s.placement(kept, memory, o)
	}
	return text
}

// onto writes rules that leave stages and layers to a device, layers that follow one
// another as a range.
func onto(units []partition.User, device string) []string {
	var out []string
	for i := 0; i < len(units); {
		of, first, ok := layer(units[i].Name)
		last, next := first, i+1
		for ok && next < len(units) {
			also, n, is := layer(units[next].Name)
			if !is || also != of || n != last+1 {
				break
			}
			last, next = n, next+1
		}
		switch {
		case ok && last > first:
			out = append(out, fmt.Sprintf("%s.%d-%d=%s", of, first, last, device))
		default:
			out = append(out, units[i].Name+"="+device)
		}
		i = next
	}
	return out
}

// layer splits the path of a layer, such as llm.layers.7.
func layer(path string) (of string, number int, ok bool) {
	i := strings.LastIndexByte(path, '.')
	if i < 0 {
		return "", 0, false
	}
	n, err := strconv.Atoi(path[i+1:])
	return path[:i], n, err == nil
}
