package onnx

// What the graph knows and ONNX has no field for is kept in metadata
// properties: of nodes, where they were placed and why, and their canonical path;
// of values, the exporter's name and the space.
const (
	metaPath   = "mnnconv.path"
	metaTarget = "mnnconv.target"
	metaCause  = "mnnconv.cause"
	metaFrom   = "mnnconv.from"
	metaSpace  = "mnnconv.space"
)

// pull takes a property out of m and returns it.
func pull(m map[string]string, key string) string {
	v := m[key]
	delete(m, key)
	return v
}
