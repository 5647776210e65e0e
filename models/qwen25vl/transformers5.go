package qwen25vl

import (
	"fmt"

	"mnnconv/graph"
)

// transformers5 is transformers' own OnnxExporter (export_for_generation): a
// language model without a past, from inputs_embeds and position_ids [4, batch,
// tokens] to last_hidden_state and the new keys and values; lm_head; and a decode
// graph, which takes token ids and thus holds the table of embeddings. One graph
// of ours does what the first and the last do: what the language model's attention
// sees of new tokens, it sees of earlier ones too. The vision tower is exported by
// itself, often into a folder of its own; it is optional.
var transformers5 = Family{Name: "transformers 5 OnnxExporter", match: func(f *folder) (*parts, error) {
	d, err := f.find("language model", func(x *file) bool {
		return x.has("inputs_embeds", "position_ids") && !x.has("past_key_values.0.key") && x.output("last_hidden_state") != nil &&
			x.output("past_key_values.layers.0.keys") != nil
	})
	if d == nil || err != nil {
		return nil, err
	}
	width, ok := lastExtent(d.input("inputs_embeds"))
	if !ok {
		return nil, fmt.Errorf("%s: %w: the width of input \"inputs_embeds\" is not declared", d.path, ErrFamily)
	}
	head, err := f.find("language model's head", func(x *file) bool { return isHead(x, width) })
	if err != nil {
		return nil, err
	}
	decode, err := f.find("decode graph", func(x *file) bool {
		return x.has("input_ids", "position_ids", "input.past_key_values.layers.0.keys") && x.output("logits") != nil
	})
	if err != nil {
		return nil, err
	}
	if head == nil {
		return nil, fmt.Errorf("%s: %w: %w: %s ends in hidden states, and the graph from these to logits (lm_head.onnx) is not there", f.dir, ErrFamily, ErrMissing, d.path)
	}
	p := &parts{decoder: &decoderPart{file: d, input: "inputs_embeds", positions: "position_ids", hidden: "last_hidden_state", state: "past_key_values.",
		head: head, logits: head.model.Graph.Outputs[0].Name}}
	if d.has("attention_mask") {
		p.decoder.mask = "attention_mask"
	}
	if decode != nil {
		p.embed = &embedPart{file: decode, within: true, ids: "input_ids"}
	} else {
		p.notes = append(p.notes, "decode.onnx is not there, which holds the table of embeddings: the model runs over embeddings made elsewhere, and cannot read words")
	}
	if p.vision, err = f.hiddenVision(); err != nil || p.vision != nil {
		return p, err
	}
	if err := f.beside(); err != nil {
		return nil, err
	}
	if p.vision, err = f.hiddenVision(); p.vision == nil && err == nil {
		p.notes = append(p.notes, "there is no vision tower (export model.model.visual by itself into a folder beside), so pictures are refused")
	}
	return p, err
}}

// isHead reports whether a graph goes from hidden states of a width to logits.
func isHead(x *file, width int64) bool {
	if len(x.model.Graph.Outputs) != 1 {
		return false
	}
	in := x.read()
	if len(in) != 1 || !in[0].Type.DType.IsFloat() || len(in[0].Type.Shape) != 3 {
		return false
	}
	have, ok := lastExtent(in[0])
	return ok && have == width
}

// hiddenVision binds transformers' vision module: its parameters are the names of
// the inputs, of which grid_thw and others may be unused. The rows are the second
// output, pooler_output.
func (f *folder) hiddenVision() (*visionPart, error) {
	v, err := f.find("vision tower", func(x *file) bool {
		return x.has("hidden_states", "position_ids", "window_index", "cu_window_seqlens")
	})
	if v == nil || err != nil {
		return nil, err
	}
	in := indexes(v, "hidden_states")
	for _, name := range grids {
		in[name] = visionInput{"grid", graph.ShapeOf(1, 3)}
	}
	p := &visionPart{file: v, output: v.model.Graph.Outputs[0].Name, inputs: in}
	if v.output("pooler_output") != nil {
		p.output = "pooler_output"
	}
	return p, nil
}
