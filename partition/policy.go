package partition

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"

	"mnnconv/graph"
)

// ErrPolicy: the text of a memory policy cannot be read.
var ErrPolicy = errors.New("memory policy")

// Policy says, for some spaces, how much memory may be taken and what stays there.
type Policy map[graph.Space]SpacePolicy

// SpacePolicy is the policy of one space. The zero value takes what is there and
// keeps everything.
type SpacePolicy struct {
	Limit   int64    // bytes; 0: none
	Keep    []string // of "constants" and "state"; empty: both
	Release []string // stages whose weights go after each of their phases
	Source  string   // where the limit was written, for messages
}

// What a policy may keep.
const (
	KeepConstants = "constants"
	KeepState     = "state"
)

// Parse adds the text of `--memory` to a policy: SPACE=limit:SIZE,release:STAGE,keep:WHAT,
// of which limit stands once and the others may repeat. Sizes are bytes, or numbers
// with a unit: kB, MB, GB (powers of 1000), KiB, MiB, GiB (of 1024).
func (p Policy) Parse(text string) error {
	fail := func(format string, args ...any) error {
		return fmt.Errorf("%w: %q: %s", ErrPolicy, text, fmt.Sprintf(format, args...))
	}
	name, list, found := strings.Cut(text, "=")
	if !found || strings.TrimSpace(name) == "" {
		return fail("expected SPACE=limit:SIZE, such as cuda:0=limit:6GiB,release:vision")
	}
	space := graph.Space(canonicalDevice(strings.TrimSpace(name)))
	s := p[space]
	for _, part := range strings.Split(list, ",") {
		key, value, _ := strings.Cut(strings.TrimSpace(part), ":")
		var err error
		switch value = strings.TrimSpace(value); key {
		case "limit":
			if s.Limit > 0 {
				return fail("%s has two limits", space)
			}
			s.Limit, err = ParseSize(value)
			s.Source = "--memory " + text
		case "release":
			if value == "" {
				err = errors.New("release needs a stage, such as release:vision")
			}
			s.Release = append(s.Release, value)
		case "keep":
			s.Keep = append(s.Keep, value)
		default:
			err = fmt.Errorf("%q is none of limit:SIZE, release:STAGE, keep:WHAT", part)
		}
		if err != nil {
			return fail("%v", err)
		}
	}
	if err := s.check(); err != nil {
		return fail("%v", err)
	}
	p[space] = s
	return nil
}

// Texts returns what Parse takes, a text for each space, in their order.
func (p Policy) Texts() []string {
	var out []string
	for _, space := range sortedKeys(p) {
		s := p[space]
		var parts []string
		if s.Limit > 0 {
			parts = append(parts, fmt.Sprintf("limit:%d", s.Limit))
		}
		for _, stage := range s.Release {
			parts = append(parts, "release:"+stage)
		}
		for _, what := range s.Keep {
			parts = append(parts, "keep:"+what)
		}
		if len(parts) > 0 {
			out = append(out, string(space)+"="+strings.Join(parts, ","))
		}
	}
	return out
}

// check finds what contradicts itself. A state is needed to the end of an answer.
func (s SpacePolicy) check() error {
	for _, k := range s.Keep {
		if k != KeepConstants && k != KeepState {
			return fmt.Errorf("keep:%s: expected constants or state", k)
		}
	}
	if len(s.Keep) > 0 && !slices.Contains(s.Keep, KeepState) {
		return errors.New("keep without state: an answer needs its state to its end; add keep:state")
	}
	if len(s.Release) > 0 && len(s.Keep) > 0 && !slices.Contains(s.Keep, KeepConstants) {
		return errors.New("release beside keep:state alone, which releases all weights: give one of them")
	}
	return nil
}

// Check returns an error for spaces and stages that plans do not have: they are
// misspelled.
func (p Policy) Check(plans []*Plan) error {
	spaces, stages := map[graph.Space]bool{}, map[string]bool{}
	for _, plan := range plans {
		for _, t := range plan.targets {
			spaces[t.Profile.Space()] = true
		}
		for _, n := range plan.Graph.Nodes {
			stages[stageOf(n)] = true
		}
	}
	delete(stages, "")
	var errs []error
	for _, space := range sortedKeys(p) {
		if !spaces[space] {
			errs = append(errs, fmt.Errorf("%w: %s: nothing is placed there; the plan uses %s", ErrPolicy, space, joined(sortedKeys(spaces))))
		}
		for _, stage := range p[space].Release {
			if !stages[stage] {
				errs = append(errs, fmt.Errorf("%w: %s: no stage %q to release; the model's stages are %s", ErrPolicy, space, stage, joined(sortedKeys(stages))))
			}
		}
	}
	return errors.Join(errs...)
}

// units of sizes, in bytes.
var units = []struct {
	name  string
	bytes float64
}{
	{"KiB", 1 << 10}, {"MiB", 1 << 20}, {"GiB", 1 << 30}, {"TiB", 1 << 40},
	{"kB", 1e3}, {"MB", 1e6}, {"GB", 1e9}, {"TB", 1e12}, {"B", 1}, {"", 1},
}

// ParseSize reads a number of bytes above 0, such as 6GiB, 1.5GB or 1048576.
func ParseSize(text string) (int64, error) {
	for _, u := range units {
		number, ok := strings.CutSuffix(text, u.name)
		if !ok {
			continue
		}
		number = strings.TrimSpace(number)
		if number == "" || strings.Trim(number, "0123456789.") != "" {
			break
		}
		x, err := strconv.ParseFloat(number, 64)
		if bytes := x * u.bytes; err == nil && bytes >= 1 && bytes < math.MaxInt64 {
			if n, err := strconv.ParseInt(number, 10, 64); err == nil && u.bytes == 1 {
				return n, nil // exact beyond 2⁵³
			}
			return int64(bytes), nil
		}
		break
	}
	return 0, fmt.Errorf("size %q: expected bytes, or a number with kB, MB, GB, KiB, MiB or GiB", text)
}

func sortedKeys[K cmp.Ordered, V any](m map[K]V) []K { return slices.Sorted(maps.Keys(m)) }

// joined lists names for a message.
func joined[K ~string](names []K) string {
	out := make([]string, len(names))
	for i, n := range names {
		out[i] = string(n)
	}
	return strings.Join(out, ", ")
}
