package gpu

import (
	"embed"
	"fmt"
	"maps"
	"slices"
	"strings"

	"mnnconv/graph"
)

//go:embed kernels
var sources embed.FS

// Q4 and Q8 stand for blocks of 4- and 8-bit numbers among the types of weights.
const (
	q4 = "Q4"
	q8 = "Q8"
)

// defines are the modules that are one source with types filled in.
var defines = func() map[string][]string {
	out := map[string][]string{}
	for _, name := range []string{"elementwise", "matmul", "move", "norm", "quantized", "reduce", "rope", "topk"} {
		out[name] = nil
	}
	floats := []graph.DType{graph.Float32, graph.Float16, graph.BFloat16}
	for _, a := range floats {
		out[attentionModule(a)] = []string{"TYPE " + typeName(a)}
		if a != graph.Float32 {
			for _, m := range []string{decodeModule(a), flashModule(a), tensorModule(a)} {
				out[m] = out[attentionModule(a)]
			}
		}
		weights := []string{typeName(a), q4, q8}
		if a == graph.Float32 {
			weights = append(weights, typeName(graph.Float16), typeName(graph.BFloat16))
		}
		if a != graph.Float32 {
			for _, w := range weights {
				out[fewModule(typeName(a), w)] = []string{"A_TYPE " + typeName(a), "W_TYPE " + w}
			}
		}
		for _, w := range weights {
			out[productModule(typeName(a), w)] = []string{"A_TYPE " + typeName(a), "W_TYPE " + w}
		}
	}
	return out
}()

// typeName is a float type as the kernels' macros call it.
func typeName(d graph.DType) string {
	switch d {
	case graph.Float16:
		return "F16"
	case graph.BFloat16:
		return "BF16"
	}
	return "F32"
}

func productModule(a, w string) string { return "product_" + strings.ToLower(a+"_"+w) }

func fewModule(a, w string) string {
	if w == q4 {
		return "few4_" + strings.ToLower(a)
	}
	return "few_" + strings.ToLower(a+"_"+w)
}

func attentionModule(d graph.DType) string { return "attention_" + strings.ToLower(typeName(d)) }

func decodeModule(d graph.DType) string { return "decode_" + strings.ToLower(typeName(d)) }

func flashModule(d graph.DType) string { return "flash_" + strings.ToLower(typeName(d)) }

func tensorModule(d graph.DType) string { return "tensor_" + strings.ToLower(typeName(d)) }

// Modules lists all modules by name, for drivers that are given kernels made offline.
func Modules() []string {
	return slices.Sorted(maps.Keys(defines))
}

// ModuleOf returns a module with its whole source: dialect, types, kernels.
func ModuleOf(name string) (Module, error) {
	list, ok := defines[name]
	if !ok {
		return Module{}, fmt.Errorf("gpu: invariant: there is no module %q", name)
	}
	file, _, _ := strings.Cut(name, "_")
	files := []string{"dialect.h", file + ".cl"}
	switch file {
	case "attention", "decode", "flash":
		files = []string{"dialect.h", "heads.h", file + ".cl"}
	case "few", "few4":
		files = []string{"dialect.h", "few.h", file + ".cl"}
	}
	var b strings.Builder
	for _, f := range files {
		text, err := sources.ReadFile("kernels/" + f)
		if err != nil {
			return Module{}, fmt.Errorf("gpu: invariant: %w", err)
		}
		b.Write(text)
		if f == "dialect.h" {
			for _, d := range list {
				b.WriteString("#define " + d + "\n")
			}
		}
	}
	return Module{Name: name, Source: b.String()}, nil
}
