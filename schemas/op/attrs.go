package op

import (
	"fmt"
	"slices"
	"strings"

	"mnnconv/graph"
)

// What kind each attribute is of, by its name, as the specifications of the
// operators have it. Few names mean two kinds. A name without a line may be of any.
var attrKinds = []struct {
	kind  string
	is    func(any) bool
	names string
}{
	{"an integer", isA[int64], "K N accuracy_level align_corners allowzero antialias axis batch_axis batch_dims bits block_size blocksize broadcast causal ceil_mode center_point_box " +
		"chunk_size count_include_pad detect_negative detect_positive do_rotary dtype end exclude_outside exclusive fmod gather_axis group head_dim hidden_size " +
		"ignore_index input_forget interleaved inverse is_case_sensitive is_causal is_packed_batching is_test k keepdims kv_num_head kv_num_heads " +
		"kv_shared_layer_index largest layer_index layout left_window_size linear_before_reset local_window_size max_gram_length max_skip_count maxsplit " +
		"min_gram_length mrope_layout new_axis noop_with_empty_axes num_groups num_head num_heads num_outputs num_scan_inputs offset_group onesided " +
		"output_datatype output_dim output_dtype output_height output_width p periodic precision q_num_heads qk_matmul_output_mode quant_type quantize_axis " +
		"reverse right_window_size rotary_embedding_dim rotary_interleaved sample_size sampling_ratio saturate seed select_last_index size sliding_window_cache " +
		"smooth_softmax softmax_precision sorted spatial start stash_type storage_order time_axis to training_mode transA transB transBatchA transBatchB " +
		"unidirectional upper value_int weight_prepacked"},
	{"a float", isA[float32], "activation_alpha activation_beta activation_gamma alpha beta bias clip cubic_coeff_a epsilon extrapolation_value gamma high k_norm_eps k_norm_epsilon lambd low mask_filter_value max mean min momentum " +
		"p q_norm_eps q_norm_epsilon qk_norm_epsilon ratio scale seed softcap spatial_scale value value_float"},
	{"a string", isA[string], "activation approximate auto_pad case_change_action coordinate_transformation_mode delimiter direction equation from keep_aspect_ratio_policy locale " +
		"mode nearest_mode padding_mode pattern reduction round_mode to update_rule value_string"},
	{"a list of integers", isA[[]int64], "axes consumed_inputs dilations directions ends kernel_shape mrope_section ngram_counts ngram_indexes output_padding output_shape pads perm pool_int64s " +
		"pooled_shape scan_input_axes scan_input_directions scan_output_axes scan_output_directions shape split starts strides value_ints"},
	{"a list of floats", isA[[]float32], "activation_alpha activation_beta scales value_floats weights"},
	{"a list of strings", isA[[]string], "activations pool_strings stopwords value_strings"},
	{"a tensor", isA[*graph.Tensor], "value"},
	{"a type", isA[graph.Type], "type"},
}

func isA[T any](v any) bool {
	_, ok := v.(T)
	return ok
}

// kindsOf returns the kinds that attributes of a name may be of, by the indexes of
// attrKinds.
var kindsOf = func() map[string][]int {
	out := map[string][]int{}
	for i, k := range attrKinds {
		for _, name := range strings.Fields(k.names) {
			out[name] = append(out[name], i)
		}
	}
	return out
}()

// checkAttrs returns an error unless the operator knows all attributes of the node,
// and they are of the kind that their names stand for. So getters find what is there.
func (o *Op) checkAttrs(n *graph.Node) error {
	for _, a := range n.Attrs {
		if !slices.Contains(o.Attrs, a.Name) {
			return fmt.Errorf("attribute %q is unknown to %s: %w", a.Name, n.OpName(), ErrUnsupported)
		}
		kinds := kindsOf[a.Name]
		if len(kinds) == 0 || slices.ContainsFunc(kinds, func(k int) bool { return attrKinds[k].is(a.Value) }) {
			continue
		}
		want := make([]string, len(kinds))
		for i, k := range kinds {
			want[i] = attrKinds[k].kind
		}
		return fmt.Errorf("attribute %q is %s, want %s: %w", a.Name, kindOf(a.Value), strings.Join(want, " or "), graph.ErrInvalid)
	}
	return nil
}

func kindOf(v any) string {
	for _, k := range attrKinds {
		if k.is(v) {
			return k.kind
		}
	}
	return fmt.Sprintf("%T", v)
}
