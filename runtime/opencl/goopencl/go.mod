module mnnconv/runtime/opencl/goopencl

go 1.26.0

require (
	github.com/jgillich/go-opencl v0.0.0-20180608191952-a0efba3e5257
	mnnconv v0.0.0
)

require (
	go.yaml.in/yaml/v4 v4.0.0 // indirect
	golang.org/x/sys v0.49.0 // indirect
)

replace mnnconv => ../../..
