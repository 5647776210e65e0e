package mnnconv

import (
	"fmt"

	"mnnconv/partition"
)

// Contracts derives the contract of every boundary tensor of a planned source and
// checks the plans against them, for sessions of capacity tokens (0: a default).
// No device is needed. The contracts are returned also where they are violated;
// the error joins all violations.
func Contracts(s *Source, plans []*partition.Plan, capacity int) (*partition.ContractSet, error) {
	terms := partition.Terms{Files: map[string]string{}}
	for _, st := range s.Info.Stages {
		terms.Files[st.Name] = st.File
	}
	if s.Model != nil {
		terms = s.Model.Terms(capacity)
	}
	set := partition.Contracts(plans, terms)
	if err := set.Check(plans, terms); err != nil {
		return set, fmt.Errorf("%s: %w", s.Path, err)
	}
	return set, nil
}
