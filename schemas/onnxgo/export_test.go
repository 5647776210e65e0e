package onnxgo

// ToGraph is for tests.
var ToGraph = toGraph
