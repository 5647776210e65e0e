package mnnconv

import (
	"errors"
	"fmt"
	"strings"

	"mnnconv/graph"
	"mnnconv/partition"
)

// Contracts derives the contract of every boundary tensor of a planned source and
// checks the plans against them, for sessions of capacity tokens (0: a default).
// No device is needed. The contracts are returned also where they are violated;
// the error joins all violations.
func Contracts(s *Source, plans []*partition.Plan, capacity int) (*partition.ContractSet, error) {
	terms := Terms(s, capacity)
	set := partition.Contracts(plans, terms)
	set.Notes = s.WidenedNotes()
	if err := set.Check(plans, terms); err != nil {
		return set, fmt.Errorf("%s: %w", s.Path, err)
	}
	return set, nil
}

// Terms are what is known of a source's boundary tensors beyond its graphs.
func Terms(s *Source, capacity int) partition.Terms {
	if s.Model != nil {
		return s.Model.Terms(capacity)
	}
	terms := partition.Terms{Files: map[string]string{}}
	for _, st := range s.Info.Stages {
		terms.Files[st.Name] = st.File
	}
	return terms
}

// Splits lists the places where the phases of a source that is not planned yet may
// be cut, and before each of the named paths. A path that no phase has is an error
// that wraps partition.ErrSplit.
func Splits(s *Source, named []string) ([]partition.Split, error) {
	terms := Terms(s, 0)
	var out []partition.Split
	found := map[string]bool{}
	var graphs []*graph.Graph
	for _, ph := range s.Phases {
		graphs = append(graphs, ph.Graph)
		at := terms.Picture[ph.Name]
		if at == nil {
			at = terms.Token[ph.Name]
		}
		splits, err := partition.Splits(ph.Name, ph.Graph, named, at)
		if err != nil {
			return nil, fmt.Errorf("%s: phase %s: %w", s.Path, ph.Name, err)
		}
		for _, n := range ph.Graph.Nodes {
			for _, path := range named {
				if n.Path == path || strings.HasPrefix(n.Path, path+".") {
					found[path] = true
				}
			}
		}
		out = append(out, splits...)
	}
	var errs []error
	for _, path := range named {
		if found[path] {
			continue
		}
		hint := "; `mnnconv inspect --nodes` lists paths such as " + near(out, path)
		switch nearest, paths := partition.NearestPath(path, graphs); {
		case !paths:
			hint = ": the graph's nodes have none"
		case nearest != "":
			hint = ": did you mean " + nearest + "?"
		}
		errs = append(errs, fmt.Errorf("%s: %w: no node has the path %q%s", s.Path, partition.ErrSplit, path, hint))
	}
	return out, errors.Join(errs...)
}

// near is the split whose path shares the longest beginning with path.
func near(splits []partition.Split, path string) string {
	best, most := "llm", -1
	for _, s := range splits {
		n := 0
		for n < min(len(path), len(s.Before)) && path[n] == s.Before[n] {
			n++
		}
		if n > most {
			best, most = s.Before, n
		}
	}
	return best
}
