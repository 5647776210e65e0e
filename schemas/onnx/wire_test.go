package onnx

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"google.golang.org/protobuf/encoding/protowire"

	"mnnconv/graph"
	"mnnconv/schemas/onnx/internal/pb"
)

// sample returns a model with every part that the importer knows: weights of
// several forms, a loop with captures, a function, metadata. Its opset imports
// come last, as Python writes them.
func sample(t testing.TB) []byte {
	body := &pb.GraphProto{
		Name:   "body",
		Input:  []*pb.ValueInfoProto{info("i", graph.Int64), info("go", graph.Bool), info("acc", graph.Float32, 2, "n")},
		Node:   []*pb.NodeProto{node("Identity", "go", "again"), node("Add", "acc h", "sum")},
		Output: []*pb.ValueInfoProto{info("again", graph.Bool), info("sum", graph.Float32, 2, "n")},
	}
	m := newModel(
		node("Mul", "x w", "h", intAttr("ignored", 3)),
		node("Loop", "trips - h", "l", graphAttr("body", body)),
		&pb.NodeProto{Name: "call", OpType: "Twice", Domain: "local", Input: []string{"l"}, Output: []string{"y"}},
	)
	m.Graph.Initializer = [][]byte{
		tensorProto("w", 1, []int64{2, 1}, data(tensorRawData, 0, 0, 128, 63, 0, 0, 0, 64)),
		tensorProto("trips", 7, nil, data(tensorInt64Data, 3)),
	}
	m.Graph.MetadataProps = []*pb.StringStringEntryProto{{Key: "k", Value: "v"}}
	m.Functions = []*pb.FunctionProto{{
		Name: "Twice", Domain: "local", Input: []string{"a"}, Output: []string{"b"},
		Node:        []*pb.NodeProto{node("Add", "a a", "b")},
		OpsetImport: []*pb.OperatorSetIdProto{{Version: 21}},
	}}
	imports := []*pb.OperatorSetIdProto{{Domain: "local", Version: 1}, {Version: 21}}
	m.OpsetImport = nil
	b := encode(t, m)
	return append(b, encode(t, &pb.ModelProto{OpsetImport: imports})...)
}

// TestTruncated cuts a model at every byte (fault F02).
func TestTruncated(t *testing.T) {
	whole := sample(t)
	if _, err := Decode("m.onnx", whole, Options{}); err != nil {
		t.Fatal(err)
	}
	for n := 1; n < len(whole); n++ {
		_, err := Decode("m.onnx", whole[:n], Options{})
		if err == nil {
			t.Errorf("the first %d of %d bytes make a model", n, len(whole))
			continue
		}
		refuses(t, err, ErrMalformed)
		if s := err.Error(); !strings.Contains(s, "byte ") && !strings.Contains(s, "is imported") {
			t.Errorf("%d bytes: %q does not tell the byte", n, s)
		}
	}
}

// TestBitFlips flips one to four bits of a model (fault F03): it is refused, or
// what is left is a model that keeps the rules.
func TestBitFlips(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	whole := sample(t)
	legal := 0
	for i := range 10_000 {
		b := append([]byte{}, whole...)
		for range 1 + i%4 {
			b[random.IntN(len(b))] ^= 1 << random.IntN(8)
		}
		m, err := Decode("m.onnx", b, Options{})
		if err != nil {
			continue
		}
		legal++
		if err := graph.Verify(m.Graph); err != nil && !strings.Contains(err.Error(), "type") {
			t.Fatalf("flip %d: %v", i, err)
		}
	}
	if legal == 0 || legal == 10_000 {
		t.Errorf("%d of 10000 broken models load", legal)
	}
}

// nest nests fields of the given numbers depth times, from the outside in;
// before[i] stands in the message of nums[i] before the next one.
func nest(depth int, nums []protowire.Number, before ...[]byte) []byte {
	var headers [][]byte
	size := 0
	for range depth {
		for i := len(nums) - 1; i >= 0; i-- {
			size += len(before[i])
			h := protowire.AppendVarint(protowire.AppendTag(nil, nums[i], protowire.BytesType), uint64(size))
			headers = append(headers, append(h, before[i]...))
			size += len(h)
		}
	}
	slices.Reverse(headers)
	return slices.Concat(headers...)
}

// wrap encodes b as a length-delimited field.
func wrap(num protowire.Number, b []byte) []byte {
	return protowire.AppendBytes(protowire.AppendTag(nil, num, protowire.BytesType), b)
}

// TestNesting nests messages too deep, and uses groups (fault F04).
func TestNesting(t *testing.T) {
	header := encode(t, &pb.ModelProto{IrVersion: 10, OpsetImport: []*pb.OperatorSetIdProto{{Version: 21}}})
	// Node ⊃ attribute ⊃ graph ⊃ node; sequence of sequence.
	graphs := nest(10_000, []protowire.Number{1, 5, 6}, wrap(4, []byte("If")), encode(t, &pb.AttributeProto{Name: "a"}), nil)
	types := nest(10_000, []protowire.Number{4, 1}, nil, nil)
	group := protowire.AppendTag(nil, 99, protowire.StartGroupType)
	for _, c := range []struct {
		name  string
		graph []byte
		kind  error
		want  string
	}{
		{"graphs", graphs, ErrLimit, "nested more than"},
		{"types", wrap(11, wrap(2, types)), ErrLimit, "nested more than 100 deep"},
		{"group", group, ErrMalformed, "group"},
		{"groups in a node", wrap(1, group), ErrMalformed, "group"},
		{"groups in a tensor", wrap(5, group), ErrMalformed, "group"},
		{"groups in a type", wrap(11, wrap(2, group)), ErrMalformed, "group"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := Decode("m.onnx", append(header, wrap(7, c.graph)...), Options{})
			refuses(t, err, c.kind, c.want, "byte ")
		})
	}
}

// TestSizes declares more than is there, and very many small things (fault
// F05). None may take more memory than the limit.
func TestSizes(t *testing.T) {
	huge := protowire.AppendVarint(protowire.AppendTag(nil, 7, protowire.BytesType), 1<<63)
	many := func(n int, unit []byte) []byte { return []byte(strings.Repeat(string(unit), n)) }
	header := encode(t, &pb.ModelProto{IrVersion: 10, OpsetImport: []*pb.OperatorSetIdProto{{Version: 21}}})
	entry := encode(t, &pb.GraphProto{Node: []*pb.NodeProto{{OpType: "A"}}})
	attribute := wrap(5, encode(t, intAttr("a", 1)))
	for _, c := range []struct {
		name string
		data []byte
		kind error
		want string
	}{
		{"length of 2^63", huge, ErrMalformed, "declared"},
		{"length of 2^63 in the graph", wrap(7, huge), ErrMalformed, "declared"},
		{"varint without end", wrap(7, many(11, []byte{0x88})), ErrMalformed, "byte "},
		{"empty nodes", wrap(7, many(1_000_001, wrap(1, nil))), ErrLimit, "more than 1000000 nodes"},
		{"small nodes", wrap(7, many(1_000_000, entry)), ErrLimit, "memory"},
		{"attributes", wrap(7, wrap(1, append(encode(t, &pb.NodeProto{OpType: "A"}), many(1_000_000, attribute)...))), ErrLimit, "memory"},
		{"attributes of one name", wrap(7, wrap(1, append(encode(t, &pb.NodeProto{OpType: "A"}), many(2, attribute)...))), ErrMalformed, "given twice"},
		{"tensors of an attribute", wrap(7, wrap(1, append(encode(t, &pb.NodeProto{OpType: "A"}), wrap(5, many(2_000_000, wrap(10, nil)))...))), ErrLimit, "memory"},
		{"weights", wrap(7, many(1_000_000, wrap(5, nil))), ErrMalformed, "has no data type"},
		{"metadata", many(2_000_000, wrap(14, nil)), ErrLimit, "memory"},
		{"functions", append(many(2_000_000, wrap(25, nil)), wrap(7, nil)...), ErrMalformed, "a function has no name"},
		{"inputs", wrap(7, many(2_000_000, wrap(11, nil))), ErrLimit, "memory"},
		{"extents", wrap(7, wrap(11, wrap(2, wrap(1, wrap(2, many(2_000_000, wrap(1, nil))))))), ErrLimit, "memory"},
		{"outputs of a node", wrap(7, wrap(1, many(4_000_000, wrap(2, nil)))), ErrLimit, "memory"},
		{"ints", wrap(7, wrap(1, append(encode(t, &pb.NodeProto{OpType: "A"}), wrap(5, wrap(8, make([]byte, 8<<20)))...))), ErrLimit, "memory"},
		{"int64_data", wrap(7, wrap(5, tensorProto("w", 7, []int64{16 << 20}, data(tensorInt64Data, make([]byte, 16<<20)...)))), ErrLimit, "memory"},
		{"string_data", wrap(7, wrap(5, append(tensorProto("w", 8, []int64{1 << 20}), many(1<<20, wrap(tensorStringData, nil))...))), ErrLimit, "memory"},
		{"unknown fields", many(8_000_000, []byte{0xf8, 0x01, 0x00}), nil, ""},
		{"training between unknown fields", many(4_000_000, append(wrap(20, nil), 0xf8, 0x01, 0x00)), nil, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			file := append(append([]byte{}, header...), c.data...)
			file = file[:len(file):len(file)]
			var err error
			limit := int64(2*len(file) + 160<<20)
			took := allocated(func() { _, err = Decode("m.onnx", file, Options{}) })
			if c.kind == nil {
				refuses(t, err, ErrMalformed, "no graph")
			} else {
				refuses(t, err, c.kind, c.want)
			}
			if took > limit {
				t.Errorf("%d bytes allocated for a file of %d, the limit is %d", took, len(file), limit)
			}
		})
	}
}

// allocated returns how many bytes f allocates in all, garbage too: what the heap grows
// by at most depends on when the collector gets to run.
func allocated(f func()) int64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	f()
	runtime.ReadMemStats(&after)
	return int64(after.TotalAlloc - before.TotalAlloc)
}

// TestTooLarge gives a file of more than protobuf's 2 GiB (fault F06).
func TestTooLarge(t *testing.T) {
	path := filepath.Join(t.TempDir(), "m.onnx")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := f.Truncate(1 << 31); err != nil {
		t.Fatal(err)
	}
	_, err = Load(path, Options{})
	refuses(t, err, ErrLimit, path, "external data")
	_, err = Load(path, Options{MaxFile: 1 << 32})
	refuses(t, err, ErrMalformed, "byte 0")
	if _, err := Decode("m.onnx", make([]byte, 100), Options{MaxFile: 99}); err != nil {
		refuses(t, err, ErrLimit, "external data")
	} else {
		t.Error("a model over the limit was decoded")
	}
}

// TestNames puts characters that harm terminals and paths into names (fault
// F07).
func TestNames(t *testing.T) {
	for _, name := range []string{"a\x00b", "a\nb", "\x1b[31mred", "../../etc/passwd", "\xff\xfe", "\u202egnp", strings.Repeat("é", 300), strings.Repeat("x", 64<<10)} {
		m := newModel(node("Neg", "x", "y"))
		m.Graph.Node[0].Input[0] = name
		_, err := Decode("m.onnx", encode(t, m), Options{})
		refuses(t, err, ErrMalformed, "nothing produces")
		for _, r := range fmt.Sprint(err) {
			if r < ' ' || r == '\u202e' || r == '\ufffd' {
				t.Errorf("%q shows %q raw", err, r)
			}
		}
		if len(err.Error()) > 1000 {
			t.Errorf("name of %d bytes: the message has %d", len(name), len(err.Error()))
		}
		// The name itself is legal.
		m.Graph.Input[0].Name = name
		got := decode(t, m)
		if got.Graph.Inputs[0].Name != name {
			t.Errorf("input %q became %q", name, got.Graph.Inputs[0].Name)
		}
		roundTrip(t, got, SaveOptions{})
	}
	m := newModel(node("Neg", "x", "y"))
	m.Graph.Node[0].Output = []string{strings.Repeat("x", 64<<10+1)}
	refusesModel(t, m, ErrLimit, "limit is 65536 bytes")
}
