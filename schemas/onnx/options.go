package onnx

// Options say where external data may lie and how much a file may ask for.
// The zero value gives the defaults.
type Options struct {
	// ExternalDir is the folder of external data; Load takes the model's own
	// folder, Decode refuses external data without it.
	ExternalDir string
	// AllowLinks names folders, such as a model cache, beneath which symbolic
	// and hard links to external data may lead. Without it links are refused.
	AllowLinks []string
	// Annotations reads what SaveOptions.Annotate wrote: placement, paths, states,
	// and extents as dims. Only for files that mnnconv wrote; without it, what
	// files call their extents are hints.
	Annotations bool

	MaxFile       int64 // bytes of the model file; 2 GiB - 1
	MaxDepth      int   // nesting of messages; 100
	MaxGraphDepth int   // nesting of subgraphs, and of function calls; 32
	MaxNodes      int   // nodes, after functions are inlined; 1,000,000
	MaxTensors    int   // tensors; 1,000,000
	MaxAttrs      int   // attributes; 1,000,000
	MaxRank       int   // extents of a shape; 64
	MaxName       int   // bytes of a name; 64 KiB
	MaxMemory     int64 // bytes beyond the file; 2 × (file - raw weights) + 64 MiB
}

func (o Options) withDefaults() Options {
	def(&o.MaxFile, 1<<31-1)
	def(&o.MaxDepth, 100)
	def(&o.MaxGraphDepth, 32)
	def(&o.MaxNodes, 1_000_000)
	def(&o.MaxTensors, 1_000_000)
	def(&o.MaxAttrs, 1_000_000)
	def(&o.MaxRank, 64)
	def(&o.MaxName, 64<<10)
	return o
}

func def[T int | int64](p *T, v T) {
	if *p <= 0 {
		*p = v
	}
}
