package graph

import "errors"

// Errors that a graph can be refused with; messages around them carry the
// position.
var (
	// ErrCycle: nodes read each other's outputs in a ring.
	ErrCycle = errors.New("cyclic graph")
	// ErrInvalid: the graph breaks a rule of the IR (a value without a
	// definition, defined twice, used before its definition, a wrong space).
	ErrInvalid = errors.New("invalid graph")
	// ErrType: dtypes or shapes provably contradict each other.
	ErrType = errors.New("type mismatch")
	// ErrLimit: a tensor would be larger than any may be.
	ErrLimit = errors.New("tensor over a limit")
)
