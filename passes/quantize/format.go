package quantize

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"mnnconv/graph"
)

// Format says how a weight is stored.
type Format struct {
	Kind   Kind
	Block  int    // numbers of a row that share a scale; of Int4 and Int8
	Asym   bool   // blocks have zero points; of Int4 and Int8
	Scales int    // bits of a scale, 8 or 16; of Int4 and Int8
	Method Method // how codes are chosen; of Int4 and Int8
}

// Kind is the type of the stored numbers.
type Kind string

const (
	Int4 Kind = "int4"
	Int8 Kind = "int8"
	FP16 Kind = "fp16"
	BF16 Kind = "bf16"
	Keep Kind = "keep" // as the source stores it
)

// Method is a way to choose scales, zero points and codes.
type Method string

const (
	Round  Method = "round"  // scales from the largest number, nearest codes
	Refine Method = "refine" // scales and codes of the least error
	GPTQ   Method = "gptq"   // of the least error in the outputs for calibration data
)

var kinds = []Kind{Int4, Int8, FP16, BF16, Keep}

// blockSizes are those that onnxruntime's operators take.
var blockSizes = []int{16, 32, 64, 128, 256}

// defaultBlock is what peers use, and what CPU kernels are fastest for.
const defaultBlock = 32

// defaultScales is the bits of a scale.
const defaultScales = 16

// bits is the width of a code, 0 for floats.
func (f Format) bits() int {
	switch f.Kind {
	case Int4:
		return 4
	case Int8:
		return 8
	}
	return 0
}

// dtype is the type of floats.
func (f Format) dtype() graph.DType {
	if f.Kind == BF16 {
		return graph.BFloat16
	}
	return graph.Float16
}

// String is the format as ParseSpec reads it.
func (f Format) String() string {
	if f.bits() == 0 {
		return string(f.Kind)
	}
	s := fmt.Sprintf("%s:%d", f.Kind, f.Block)
	if f.Asym {
		s += ":asym"
	}
	if f.Scales != defaultScales {
		s += fmt.Sprintf(":scales%d", f.Scales)
	}
	if f.Method != "" {
		s += ":" + string(f.Method)
	}
	return s
}

// parseFormat reads TYPE[:BLOCK][:asym|:sym][:scales8|:scales16][:METHOD].
func parseFormat(text string) (Format, error) {
	parts := strings.Split(text, ":")
	f := Format{Kind: Kind(parts[0])}
	switch parts[0] {
	case "float16":
		f.Kind = FP16
	case "bfloat16":
		f.Kind = BF16
	}
	if !slices.Contains(kinds, f.Kind) {
		return f, fmt.Errorf("%w: %q is no type of weights: write int4, int8, fp16, bf16 or keep", ErrSpec, parts[0])
	}
	if f.bits() == 0 {
		if len(parts) > 1 {
			return f, fmt.Errorf("%w: %q: %s has no blocks and no choice of method", ErrSpec, text, f.Kind)
		}
		return f, nil
	}
	said := map[string]string{} // by what it is of
	for _, p := range parts[1:] {
		n, err := strconv.Atoi(p)
		what := ""
		switch {
		case err == nil && slices.Contains(blockSizes, n):
			what, f.Block = "block size", n
		case err == nil:
			return f, fmt.Errorf("%w: %q: blocks of %d: they have %v numbers", ErrSpec, text, n, blockSizes)
		case p == "asym" || p == "sym":
			what, f.Asym = "zero points", p == "asym"
		case p == "scales8" || p == "scales16":
			what = "scales"
			f.Scales, _ = strconv.Atoi(p[len("scales"):])
		case p == string(Round) || p == string(Refine) || p == string(GPTQ):
			what, f.Method = "method", Method(p)
		default:
			return f, fmt.Errorf("%w: %q: %q is no block size, asym, sym, scales8, scales16, round, refine or gptq", ErrSpec, text, p)
		}
		if before := said[what]; before != "" {
			return f, fmt.Errorf("%w: %q: %s twice, %s and %s: write one", ErrSpec, text, what, before, p)
		}
		said[what] = p
	}
	if f.Block == 0 {
		f.Block = defaultBlock
	}
	if f.Scales == 0 {
		f.Scales = defaultScales
	}
	return f, nil
}
