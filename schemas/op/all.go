package op

// All returns the table of every operator mnnconv knows: one line each, in
// alphabetical order within its domain.
func All() Table {
	return NewTable(
		// ai.onnx
		Add,
	)
}
