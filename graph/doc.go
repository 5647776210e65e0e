// Package graph is the intermediate representation that everything between an
// ONNX file and a running session works on.
//
// A [Graph] is a list of [Node]s in topological order over [Value]s. A value is
// defined once: by a node, as a graph input, or as a constant (a weight or a
// small literal). Its [Type] says dtype, shape and memory space. Shapes are
// lists of [Dim]s: polynomials over symbols, so that equality of two extents is
// something that is proven, never guessed from an exporter's names.
//
// What flows in: schemas/onnx decodes a file into a Graph. What flows out:
// passes rewrite it, partition cuts it, runtime executes it. The package
// imports nothing else of this module.
package graph
