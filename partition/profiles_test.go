package partition

import (
	"bytes"
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

// TestShipped reads what ships and checks it against the schema, which knows every
// field of a profile.
func TestShipped(t *testing.T) {
	schema, err := jsonschema.NewCompiler().Compile("../schemas/json/profile.schema.json")
	if err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(ShippedNames(), " "); got != "cpu h100 pocl" {
		t.Errorf("machines %s", got)
	}
	for _, name := range ShippedNames() {
		data, err := shipped.ReadFile("profiles/" + name + ".json")
		if err != nil {
			t.Fatal(err)
		}
		x, err := jsonschema.UnmarshalJSON(bytes.NewReader(data))
		if err != nil {
			t.Fatal(err)
		}
		if err := schema.Validate(x); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if _, ok := Shipped(name); !ok {
			t.Errorf("%s cannot be read", name)
		}
	}
	if _, ok := Shipped("../profiles/h100"); ok {
		t.Error("a path is no name")
	}
	full := Profile{"sim:0", "v", "u", []string{"w"}, 1, 2, true, 3, 4, []string{"Add"}, []string{"float32"}, "p", &Measured{"s", 1, 2, 3, 4, 5}}
	data, err := json.Marshal(map[string]any{"schema_version": 1, "devices": []Profile{full}})
	if err != nil {
		t.Fatal(err)
	}
	x, err := jsonschema.UnmarshalJSON(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	if err := schema.Validate(x); err != nil {
		t.Errorf("a full profile: %v", err)
	}
	if back, err := parseProfiles("f", data); err != nil || back[0].Free != 0 || back[0].MaxAlloc != 3 || back[0].Measured.Compute != 5 {
		t.Errorf("%+v, %v", back, err)
	}
}

func TestParseProfiles(t *testing.T) {
	for text, want := range map[string]string{
		``:                     "line 1, column 1",
		"{\n  \"devices\": x}": "line 2, column 14",
		`{"schema_version": 1, "devices": [], "more": 1}`:                                                                                        `unknown field "more"`,
		`{"schema_version": 2, "devices": [{"name": "cpu", "memory": 0, "align": 64}]}`:                                                          "expected schema_version 1",
		`{"devices": [{"name": "cpu", "memory": 0, "align": 64}]}`:                                                                               "expected schema_version 1",
		`{"schema_version": 1, "devices": []}`:                                                                                                   "0 devices, expected 1 to 256",
		`{"schema_version": 1, "devices": [{"name": "cuda", "memory": 0, "align": 64}]}`:                                                         `devices[0] "cuda": device profiles: expected a name such as cuda:0`,
		`{"schema_version": 1, "devices": [{"name": "cuda:0", "memory": -1, "align": 64}]}`:                                                      "memory -1",
		`{"schema_version": 1, "devices": [{"name": "cuda:0", "memory": 1e30, "align": 64}]}`:                                                    "line 1, column",
		`{"schema_version": 1, "devices": [{"name": "cuda:0", "memory": 0, "align": 48}]}`:                                                       "align 48: expected a power of two",
		`{"schema_version": 1, "devices": [{"name": "cuda:0", "memory": 0}]}`:                                                                    "align 0",
		`{"schema_version": 1, "devices": [{"name": "cpu", "memory": 0, "align": 64, "dtypes": ["float33"]}]}`:                                   `"float33" is no dtype`,
		`{"schema_version": 1, "devices": [{"name": "cpu", "memory": 0, "align": 64, "measured": {"launch_us": -1}}]}`:                           "measured: -1",
		`{"schema_version": 1, "devices": [{"name": "cpu", "memory": 0, "align": 64}, {"name": "cpu", "memory": 0, "align": 64}]}`:               "devices[1]: device profiles: \"cpu\" stands twice",
		`{"schema_version": 1, "devices": [{"name": "cpu", "memory": 0, "align": 64}]} {}`:                                                       "more follows",
		`{"schema_version": 1, "devices": [{"name": "cpu", "memory": 0, "align": 64, "place": "vision=cpu", "vendor": "x", "free": 12}]}` + "\n": "",
	} {
		p, err := parseProfiles("box.json", []byte(text))
		if want == "" {
			if err != nil || p[0].Free != 0 {
				t.Errorf("%s: %+v, %v", text, p, err)
			}
			continue
		}
		if !errors.Is(err, ErrProfile) || !strings.Contains(err.Error(), want) || !strings.HasPrefix(err.Error(), "box.json: ") {
			t.Errorf("%s: %v, want %s", text, err, want)
		}
	}
}
