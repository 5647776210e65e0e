module mnnconv/runtime/cuda/gorgoniacu

go 1.26.0

require (
	gorgonia.org/cu v0.9.6
	mnnconv v0.0.0
)

require (
	github.com/ebitengine/purego v0.11.3 // indirect
	github.com/google/uuid v1.1.1 // indirect
	github.com/pkg/errors v0.9.1 // indirect
	go.yaml.in/yaml/v4 v4.0.0 // indirect
	golang.org/x/sys v0.49.0 // indirect
)

replace mnnconv => ../../..
