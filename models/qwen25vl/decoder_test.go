package qwen25vl

import (
	"strings"
	"testing"

	"mnnconv/graph"
	"mnnconv/models"
	"mnnconv/schemas/op"
)

// counted fills the small model's weights with numbers that count up.
func counted(text string) string {
	return strings.NewReplacer(
		"const %shape", "const %zero = float32[] {0} const %all = float32[] {4352} const %step = float32[] {1} %numbers = Range-17(%zero, %all, %step) const %shape",
		"ConstantOfShape-17(%shape)", "Reshape-17(%numbers, %shape)",
	).Replace(text)
}

// logits runs the extend phase with the reference implementations over ids and
// image rows of width 8 at the given tokens.
func logits(t *testing.T, m *Model, ids []int32, at []int64, rows []float32) []float32 {
	t.Helper()
	p := &Prompt{IDs: ids, rowsAt: at}
	for a := range p.positions {
		p.positions[a] = make([]int64, len(ids))
	}
	if len(at) > 0 {
		p.rows = graph.Floats(rows, int64(len(at)), 8)
	}
	ins, err := m.extend.fill(p, 0)
	if err != nil {
		t.Fatal(err)
	}
	outs, err := op.All().Run(t.Context(), m.extend.graph, ins, nil)
	if err != nil {
		t.Fatalf("%v\n%s", err, graph.Text(m.extend.graph))
	}
	return graph.View[float32](outs[0])
}

// TestLogits compares the last token's logits with the product they are, whatever
// way an exporter selects rows before it.
func TestLogits(t *testing.T) {
	const (
		product  = "%logits = MatMul-17(%inputs_embeds, %w)"
		selected = " %logits = MatMul-17(%rows, %w)"
		axes     = "const %one = int64[1] {1} const %first = int64[1] {0} const %end = int64[1] {9223372036854775807} const %last = int64[1] {-1} "
	)
	for _, c := range []struct{ name, inputs, lines string }{
		{"all rows", "", product},
		{"as many as are asked for", "input %num_logits_to_keep: int64[] ",
			axes + "%less = Neg-17(%num_logits_to_keep) %from = Unsqueeze-17(%less, %first) %rows = Slice-17(%inputs_embeds, %from, %end, %one)" + selected},
		{"the last", "", axes + "%rows = Slice-17(%inputs_embeds, %last, %end, %one)" + selected},
		{"the last, gathered", "", axes + "%rows = Gather-17(%inputs_embeds, %last) {axis = 1}" + selected},
		{"cast and scaled behind the product", "",
			"const %k = float32[] {1} %p = MatMul-17(%inputs_embeds, %w) %h = Cast-17(%p) {to = 11} %f = Cast-17(%h) {to = 1} %logits = Mul-17(%k, %f)"},
	} {
		text := counted(c.inputs + smallDecoder)
		if !strings.Contains(text, product) {
			t.Fatalf("there is no %s", product)
		}
		m := load(t, small(t, change{"decoder.onnx": strings.Replace(text, product, c.lines, 1), "embed.onnx": counted(smallEmbedding)}), models.Options{})
		have := logits(t, m, []int32{3, 0, 7}, nil, nil)
		if len(have) != 544 {
			t.Errorf("%s: %d logits", c.name, len(have))
			continue
		}
		for j := range have {
			want := float32(0)
			for k := range 8 {
				want += float32(7*8+k) * float32(544*k+j)
			}
			if have[j] != want {
				t.Errorf("%s: logit %d is %g, want %g", c.name, j, have[j], want)
				break
			}
		}
	}
}

// TestMerge writes image rows over the embeddings of their tokens.
func TestMerge(t *testing.T) {
	m := load(t, small(t, change{"decoder.onnx": counted(smallDecoder), "embed.onnx": counted(smallEmbedding)}), models.Options{})
	row := make([]float32, 8) // the embedding of token 5
	for k := range row {
		row[k] = float32(5*8 + k)
	}
	want := logits(t, m, []int32{1, 5}, nil, nil)
	for name, have := range map[string][]float32{
		"a row in place of the token":   logits(t, m, []int32{1, 514}, []int64{1}, row),
		"a row in place of another one": logits(t, m, []int32{514, 5}, []int64{0}, row),
	} {
		for j := range want {
			if have[j] != want[j] {
				t.Errorf("%s: logit %d is %g, want %g", name, j, have[j], want[j])
				break
			}
		}
	}
}
