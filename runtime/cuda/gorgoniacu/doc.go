// Package gorgoniacu is a second CUDA backend, over gorgonia.org/cu: a second opinion
// on package cuda, and no part of the product, because the binding needs cgo, CUDA 12's
// headers and a libcuda to link with. Tag cu builds it; test.sh finds what it needs.
//
// The binding's init ends the process, with status 1, where there is no GPU: nothing
// here can make an error of that.
package gorgoniacu

// Lacks names what the binding has no calls for, and what is done instead.
var Lacks = []string{
	"the absence of a GPU as an error: its init ends the process",
	"pinned memory (cuMemHostAlloc): copies to and from the host wait for the queue",
	"launches of graphs (cuGraphLaunch): every kernel is launched by itself",
	"arguments of more than 8 bytes before the last one: such launches (reductions, products with quantised weights) are refused",
	"memory that can be exported: no direct copies",
	"registering host memory, names of statuses beyond its own list",
}
