package jsonkeys

import (
	"errors"
	"testing"
)

func TestRepeated(t *testing.T) {
	for _, c := range []struct {
		json string
		fold bool
		want string // empty: no key is repeated
	}{
		{`{"a": 1, "b": 2}`, false, ""},
		{`{"a": 1, "a": 2}`, false, `line 1, column 10: "a" stands twice in its object: keep one`},
		{"{\n  \"a\": {},\n  \"b\": [],\n  \"a\": null}", false, `line 4, column 3: "a" stands twice in its object: keep one`},
		{`{"a": 1, "A": 2}`, false, ""},
		{`{"a": 1, "A": 2}`, true, `line 1, column 10: "A" stands twice in its object: keep one`},
		{`{"a": {"a": {"a": 1}}, "b": {"a": 1}}`, false, ""},
		{`{"a": {"b": 1}, "c": {"b": 1, "d": [{"b": 1}], "b": 2}}`, false, `line 1, column 48: "b" stands twice in its object: keep one`},
		{`[{"a": 1}, {"a": 1}]`, false, ""},
		{`{"a": ["a", "a"], "b": "a"}`, false, ""},
		{`{"a": "b", "b": "a", "c": "{\"a\": 1, \"a\": 2}"}`, false, ""},
		{`{"a\\": 1, "b": 2, "a\\": 3}`, false, `line 1, column 20: "a\\" stands twice in its object: keep one`},
		{`{"a": 1, "\u0061": 2}`, false, `line 1, column 10: "a" stands twice in its object: keep one`},
		{`{"": 1, "": 2}`, false, `line 1, column 9: "" stands twice in its object: keep one`},
		{`{"a": [1, {"b": 2}], "a": 3}`, false, `line 1, column 22: "a" stands twice in its object: keep one`},
		{`{}`, false, ""}, {`[]`, false, ""}, {`"a"`, false, ""}, {` 1 `, false, ""},
	} {
		got := ""
		if r := Repeated([]byte(c.json), c.fold); r != nil {
			got = r.Error()
		}
		if got != c.want {
			t.Errorf("%s: %q, want %q", c.json, got, c.want)
		}
	}
}

func TestUnmarshal(t *testing.T) {
	var to struct{ A int }
	if err := Unmarshal([]byte(`{"a": 2, "A b": 1, "a B": 3}`), &to, false); err != nil || to.A != 2 {
		t.Errorf("%v, a is %d", err, to.A)
	}
	var r *RepeatError
	if err := Unmarshal([]byte(`{"a": 2, "A": 3}`), &to, true); !errors.As(err, &r) || r.Key != "A" {
		t.Errorf("%v", err)
	}
	if err := Unmarshal([]byte(`{"a": 2, "a": 3`), &to, true); err == nil || errors.As(err, &r) {
		t.Errorf("%v, want the error of the syntax first", err)
	}
}

// FuzzRepeated: what is no JSON is not read beyond its end.
func FuzzRepeated(f *testing.F) {
	f.Add([]byte(`{"a": [1, "b\\"], "\u0061": {}}`))
	f.Add([]byte(`{"a":"\`))
	f.Fuzz(func(_ *testing.T, data []byte) {
		_ = Repeated(data, true)
		_ = Repeated(data, false)
	})
}
