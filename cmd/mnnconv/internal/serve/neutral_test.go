package serve

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
)

// TestMembers has members at values that change nothing, which are taken, and at others,
// which are refused by name.
func TestMembers(t *testing.T) {
	e := &echo{}
	_, h := newTestServer(t, nil, e)
	long := `"` + strings.Repeat("x", 2*mostNeutral) + `"`
	for _, c := range []struct {
		name           string
		taken, refused []string
	}{
		{"audio", nil, []string{`{"voice":"alloy","format":"wav"}`, `{}`}},
		{"frequency_penalty", []string{"0", "0.0"}, []string{"0.5", `"0"`}},
		{"function_call", []string{`"none"`, `"auto"`}, []string{`{"name":"f"}`}},
		{"functions", []string{`[]`}, []string{`[{"name":"f"}]`}},
		{"logit_bias", []string{`{}`}, []string{`{"5":-100}`, `[]`}},
		{"logprobs", []string{`false`}, []string{`true`}},
		{"modalities", []string{`["text"]`}, []string{`["text","audio"]`, `["audio"]`, `"text"`}},
		{"n", []string{"1", "1.0"}, []string{"2", "0", "-1", `"1"`}},
		{"parallel_tool_calls", []string{`true`, `false`}, []string{`"yes"`}},
		{"presence_penalty", []string{"0", "0.0"}, []string{"-2"}},
		{"reasoning_effort", []string{`"none"`}, []string{`"low"`, `"high"`}},
		{"response_format", []string{`{"type":"text"}`, `{ "type" : "text" }`}, []string{`{"type":"json_object"}`, `{"type":"text","schema":{}}`, `"text"`, `{}`}},
		{"tool_choice", []string{`"none"`, `"auto"`}, []string{`"required"`, `{"type":"function","function":{"name":"f"}}`}},
		{"tools", []string{`[]`}, []string{`[{"type":"function","function":{"name":"f"}}]`, `{}`}},
		{"top_logprobs", []string{"0"}, []string{"5"}},
		{"verbosity", []string{`"medium"`}, []string{`"low"`}},
		{"web_search_options", nil, []string{`{}`}},

		{"metadata", []string{`{}`, `{"a":"b"}`}, nil},
		{"prediction", []string{`{"type":"content","content":"x"}`}, nil},
		{"prompt_cache_key", []string{`"x"`}, nil},
		{"prompt_cache_retention", []string{`"in_memory"`, `"in-memory"`}, []string{`"24h"`}},
		{"safety_identifier", []string{`"x"`}, nil},
		{"service_tier", []string{`"auto"`, `"default"`}, []string{`"flex"`, `"priority"`}},
		{"store", []string{"false"}, []string{"true"}},
		{"user", []string{`"x"`}, nil},

		{"max_tokens", []string{"1"}, []string{"0", "-1", "1.5", `"1"`}},
		{"max_completion_tokens", []string{"1"}, []string{"0"}},
		{"min_p", []string{"0", "0.5", "1"}, []string{"-0.1", "1.1"}},
		{"model", []string{`"echo"`}, nil},
		{"repetition_penalty", []string{"1", "1.5"}, []string{"0", "101"}},
		{"seed", []string{"0", "-1"}, []string{"0.5", "1e30"}},
		{"stop", []string{`[]`, `"x"`, `["x","y"]`}, []string{`""`, `["1","2","3","4","5"]`, "5"}},
		{"stream", []string{"false", "true"}, []string{`"true"`}},
		{"stream_options", []string{`{}`, `{"include_usage":true}`}, []string{`"usage"`}},
		{"temperature", []string{"0", "0.7", "2"}, []string{"-1", "1e999", `"hot"`}},
		{"top_k", []string{"0", "40"}, []string{"-1", "0.5"}},
		{"top_p", []string{"0.1", "1"}, []string{"0", "1.5", "-1"}},

		{"tool", nil, []string{`[]`, "null"}}, // which there is not
	} {
		if c.name != "tool" {
			c.taken = append(c.taken, "null")
		}
		if _, neutral := neutralNames()[c.name]; neutral {
			c.refused = append(c.refused, long)
		}
		for _, value := range c.taken {
			status, answer, _ := post(t, t.Context(), h, withMember(c.name, value))
			if status != 200 || !strings.Contains(answer, "one") {
				t.Errorf("%s %s: %d %s", c.name, value, status, answer)
			}
		}
		asked := e.asked.Load()
		for _, value := range c.refused {
			status, answer, _ := post(t, t.Context(), h, withMember(c.name, value))
			var body failureBody
			if err := json.Unmarshal([]byte(answer), &body); err != nil || status != 400 || body.Error.Type != "invalid_request_error" || body.Error.Param == nil || *body.Error.Param != c.name || !strings.HasPrefix(body.Error.Message, c.name+": ") {
				t.Errorf("%s %s: %d %s %v", c.name, value, status, answer, err)
			}
		}
		if e.asked.Load() != asked {
			t.Errorf("%s: a session was asked before it was refused", c.name)
		}
	}
}

func withMember(name, value string) string {
	return fmt.Sprintf(`{%q:%s,"messages":[{"role":"user","content":"one"}]}`, name, value)
}

// neutralNames are the members that are taken at few values only.
func neutralNames() map[string]json.RawMessage {
	b, err := json.Marshal(neutral{})
	if err != nil {
		panic(err)
	}
	names := map[string]json.RawMessage{}
	if err := json.Unmarshal(b, &names); err != nil {
		panic(err)
	}
	return names
}

// TestSentBack has answers in a request as clients keep them, with all their members.
func TestSentBack(t *testing.T) {
	_, h := newTestServer(t, nil, &echo{})
	for _, c := range []struct{ members, param string }{
		{`"refusal":null,"annotations":null,"audio":null,"function_call":null,"tool_calls":null`, ""},
		{`"annotations":[],"tool_calls":[]`, ""},
		{`"tool_calls":[{"id":"1","type":"function","function":{"name":"f","arguments":"{}"}}]`, "messages[1].tool_calls"},
		{`"function_call":{"name":"f"}`, "messages[1].function_call"},
		{`"audio":{"id":"a"}`, "messages[1].audio"},
		{`"annotations":[{"type":"url_citation"}]`, "messages[1].annotations"},
		{`"refusal":"no"`, "messages[1].refusal"},
	} {
		status, answer, _ := post(t, t.Context(), h, `{"messages":[{"role":"user","content":"a"},{"role":"assistant","content":"b",`+c.members+`},{"role":"user","content":"c"}]}`)
		if c.param == "" && status != 200 || c.param != "" && (status != 400 || !strings.Contains(answer, `"param":"`+c.param+`"`)) {
			t.Errorf("%s: %d %s", c.members, status, answer)
		}
	}
}
