package serve

import (
	"encoding/json"
	"reflect"
	"slices"
)

// neutral are members that ask for what this server does not do. Clients and
// frameworks send them unasked, at values that change nothing: those are taken.
type neutral struct {
	Audio             json.RawMessage `json:"audio"`
	FrequencyPenalty  json.RawMessage `json:"frequency_penalty"`
	FunctionCall      json.RawMessage `json:"function_call"`
	Functions         json.RawMessage `json:"functions"`
	LogitBias         json.RawMessage `json:"logit_bias"`
	Logprobs          json.RawMessage `json:"logprobs"`
	Modalities        json.RawMessage `json:"modalities"`
	N                 json.RawMessage `json:"n"`
	ParallelToolCalls json.RawMessage `json:"parallel_tool_calls"`
	PresencePenalty   json.RawMessage `json:"presence_penalty"`
	CacheRetention    json.RawMessage `json:"prompt_cache_retention"`
	ReasoningEffort   json.RawMessage `json:"reasoning_effort"`
	ResponseFormat    json.RawMessage `json:"response_format"`
	ServiceTier       json.RawMessage `json:"service_tier"`
	Store             json.RawMessage `json:"store"`
	ToolChoice        json.RawMessage `json:"tool_choice"`
	Tools             json.RawMessage `json:"tools"`
	TopLogprobs       json.RawMessage `json:"top_logprobs"`
	Verbosity         json.RawMessage `json:"verbosity"`
	WebSearchOptions  json.RawMessage `json:"web_search_options"`
}

// check refuses the first member that is neither null nor one of the values that
// change nothing.
func (n *neutral) check() error {
	none := []any{}
	for _, m := range []struct {
		name  string
		value json.RawMessage
		taken []any
		want  string
	}{
		{"tools", n.Tools, []any{none}, "this server calls no tools: want [] or null"},
		{"tool_choice", n.ToolChoice, []any{"none", "auto"}, `this server calls no tools: want "none", "auto" or null`},
		{"parallel_tool_calls", n.ParallelToolCalls, []any{true, false}, "want true, false or null"},
		{"functions", n.Functions, []any{none}, "this server calls no functions: want [] or null"},
		{"function_call", n.FunctionCall, []any{"none", "auto"}, `this server calls no functions: want "none", "auto" or null`},
		{"n", n.N, []any{1.0}, "one answer a request: want 1 or null; ask again for more"},
		{"frequency_penalty", n.FrequencyPenalty, []any{0.0}, "not supported: want 0 or null; see repetition_penalty"},
		{"presence_penalty", n.PresencePenalty, []any{0.0}, "not supported: want 0 or null; see repetition_penalty"},
		{"logit_bias", n.LogitBias, []any{map[string]any{}}, "not supported: want {} or null"},
		{"logprobs", n.Logprobs, []any{false}, "not supported: want false or null"},
		{"top_logprobs", n.TopLogprobs, []any{0.0}, "not supported: want 0 or null"},
		{"response_format", n.ResponseFormat, []any{map[string]any{"type": "text"}}, `only text is supported: want {"type":"text"} or null`},
		{"modalities", n.Modalities, []any{[]any{"text"}}, `only text is supported: want ["text"] or null`},
		{"audio", n.Audio, nil, "only text is supported: want null"},
		{"reasoning_effort", n.ReasoningEffort, []any{"none"}, `the model does not reason before it answers: want "none" or null`},
		{"verbosity", n.Verbosity, []any{"medium"}, `not supported: want "medium" or null`},
		{"service_tier", n.ServiceTier, []any{"auto", "default"}, `this server has one tier: want "auto", "default" or null`},
		{"store", n.Store, []any{false}, "this server stores no answers: want false or null"},
		{"prompt_cache_retention", n.CacheRetention, []any{"in_memory", "in-memory"}, `prompts are kept in memory, and only while a slot holds them: want "in_memory" or null`},
		{"web_search_options", n.WebSearchOptions, nil, "this server fetches nothing: want null"},
	} {
		if !one(m.value, m.taken) {
			return bad(m.name, m.want)
		}
	}
	return nil
}

// mostNeutral is more than any value needs that changes nothing: longer ones are not
// decoded, since what they become may be much larger.
const mostNeutral = 128

// one reports whether a member is left out, null or one of the values.
func one(member json.RawMessage, values []any) bool {
	if len(member) == 0 {
		return true
	}
	var v any
	if len(member) > mostNeutral || json.Unmarshal(member, &v) != nil {
		return false
	}
	return v == nil || slices.ContainsFunc(values, func(x any) bool { return reflect.DeepEqual(x, v) })
}
