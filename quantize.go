package mnnconv

import (
	"context"

	"mnnconv/passes/quantize"
	"mnnconv/runtime/host"
)

// Quantize stores the source's weights in fewer bits, see package quantize. Plan
// comes after it, and [Convert] with the result; the source cannot be run.
func Quantize(ctx context.Context, s *Source, o quantize.Options) (*quantize.Result, error) {
	var phases []quantize.Phase
	for _, ph := range s.Phases {
		phases = append(phases, quantize.Phase{Name: ph.Name, Graph: ph.Graph})
	}
	o.Loops = host.NewCoding()
	return quantize.Run(ctx, phases, o)
}
