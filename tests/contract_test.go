package tests

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"mnnconv"
	"mnnconv/graph"
	"mnnconv/partition"
)

// contracts plans an export and derives its contracts.
func contracts(t testing.TB, export, place string) (*mnnconv.Source, []*partition.Plan, *partition.ContractSet, error) {
	t.Helper()
	o := options(place)
	src, err := mnnconv.Load(Export(t, export), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := src.Close(); err != nil {
			t.Error(err)
		}
	})
	plans, err := mnnconv.Plan(src, o)
	if err != nil {
		t.Fatal(err)
	}
	set, err := mnnconv.Contracts(src, plans, 0)
	return src, plans, set, err
}

// TestContracts checks the exports kept here: no false alarm, every copy listed,
// the link between vision and language there, and the JSON as its schema says.
func TestContracts(t *testing.T) {
	schema, err := jsonschema.NewCompiler().Compile("../schemas/json/contract.schema.json")
	if err != nil {
		t.Fatal(err)
	}
	for _, export := range []string{"tjs-fp16", "tjs-q4f16", "olive-cpu-int4"} {
		for _, place := range []string{"", "vision=sim:0,llm=sim:1", "llm.layers.2-3=sim:0"} {
			t.Run(export+"/"+place, func(t *testing.T) {
				_, plans, set, err := contracts(t, export, place)
				if err != nil {
					t.Fatal(err)
				}
				listed := map[string]int{}
				for _, c := range set.Contracts {
					listed[string(c.Edge)+" "+c.To.Value]++
					if c.Align < 1 || c.MostBytes < 1 || len(c.Violations) > 0 {
						t.Errorf("%s: alignment %d, %d bytes at most, %v", c.Name(), c.Align, c.MostBytes, c.Violations)
					}
				}
				for _, p := range plans {
					for _, n := range p.Copies() {
						if v := n.Outputs[0].Name; listed["copy "+v] != 1 {
							t.Errorf("phase %s: copy %q is listed %d times", p.Phase, v, listed["copy "+v])
						}
					}
				}
				if listed["link image_rows"] != 1 {
					t.Errorf("image rows are linked %d times between the phases", listed["link image_rows"])
				}
				text, err := json.Marshal(set)
				if err != nil {
					t.Fatal(err)
				}
				value, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
				if err != nil {
					t.Fatal(err)
				}
				if err := schema.Validate(value); err != nil {
					t.Error(err)
				}
				var back partition.ContractSet
				if err := json.Unmarshal(text, &back); err != nil {
					t.Fatal(err)
				}
				if err := set.Match(&back); err != nil {
					t.Errorf("a saved contract does not match the plan it was made from: %v", err)
				}
			})
		}
	}
}

// TestContractsViolated gives the checker limits, demands and files that do not
// hold and wants all of them reported at once, with both sides named.
func TestContractsViolated(t *testing.T) {
	src, plans, _, err := contracts(t, "tjs-fp16", "vision=sim:0,llm=sim:1")
	if err != nil {
		t.Fatal(err)
	}
	terms := src.Model.Terms(0)
	for i := range terms.Relations {
		if r := &terms.Relations[i]; r.Kind == partition.Extent && r.Value == "image_rows" {
			r.High = graph.Const(2048)
		}
	}
	terms.Bounds["extend"]["tokens"] = 1 << 40
	err = partition.Contracts(plans, terms).Check(plans, terms)
	if !errors.Is(err, partition.ErrContract) || !errors.Is(err, partition.ErrMemory) {
		t.Fatalf("%v, want a violated contract and too little memory", err)
	}
	for _, want := range []string{
		"encode: image_rows, sim:0 → cpu: from encode partition 0 on sim:0 (vision, onnx/vision_encoder_fp16.onnx) to",
		"width = hidden size: expected extent 2048 on axis 1, found 256",
		"hidden_size in config.json",
		`rows from extent 0 of input "pixel_values"`,
		"encode → extend: image_rows, cpu → cpu",
		"extend: step, cpu → sim:1",
		"40*tokens bytes are 43980465111040 at the bounds, the largest single allocation there is 8589934592",
	} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("the violations do not say %q:\n%v", want, err)
		}
	}
	if lines := slices.Collect(strings.Lines(err.Error())); len(lines) < 5 {
		t.Errorf("%d violations, want all at once", len(lines))
	}
}

// TestContractsOfAnotherModel refuses the contracts of one export for the plan of
// another, and those of another placement.
func TestContractsOfAnotherModel(t *testing.T) {
	_, _, fp16, _ := contracts(t, "tjs-fp16", "vision=sim:0")
	_, _, olive, _ := contracts(t, "olive-cpu-int4", "vision=sim:0")
	_, _, moved, _ := contracts(t, "tjs-fp16", "vision=sim:1")
	for name, other := range map[string]*partition.ContractSet{"another model": olive, "another placement": moved} {
		if err := other.Match(fp16); !errors.Is(err, partition.ErrContract) || !strings.Contains(err.Error(), "encode: pixel_values, cpu → sim:") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestAnswersWithValuesChecked wants no false alarm in any of the conversations.
func TestAnswersWithValuesChecked(t *testing.T) {
	for _, export := range []string{"tjs-fp16", "olive-cpu-int4"} {
		for _, place := range []string{"", "vision=sim:0,llm=sim:1"} {
			t.Run(export+"/"+place, func(t *testing.T) {
				o := options(place)
				o.Check = "values"
				o.Load.MinPixels, o.Load.MaxPixels = 7056, 50176
				s := chat(t, Export(t, export), o)
				for _, c := range Conversations(t) {
					a, err := s.Ask(context.Background(), c.Asking(t), greedy)
					if err != nil || a.Text != c.Text {
						t.Errorf("%s: %+v, %v, want %q", c.Name, a, err, c.Text)
					}
				}
			})
		}
	}
}

// TestPackageSchemas writes a package and wants plan.json and contract.json as their
// schemas say, and the contracts those of the plan that was written.
func TestPackageSchemas(t *testing.T) {
	src, plans, set, err := contracts(t, "tjs-fp16", "vision=sim:0,llm.layers.2-3=sim:1")
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(t.TempDir(), "model.mnnc")
	if err := mnnconv.Convert(context.Background(), src, plans, dir, mnnconv.ConvertOptions{Tool: "mnnconv test"}); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"plan", "contract"} {
		schema, err := jsonschema.NewCompiler().Compile("../schemas/json/" + name + ".schema.json")
		if err != nil {
			t.Fatal(err)
		}
		text, err := os.ReadFile(filepath.Join(dir, name+".json"))
		if err != nil {
			t.Fatal(err)
		}
		value, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
		if err != nil {
			t.Fatal(err)
		}
		if err := schema.Validate(value); err != nil {
			t.Errorf("%s.json: %v", name, err)
		}
		value.(map[string]any)["surplus"] = true
		if schema.Validate(value) == nil {
			t.Errorf("%s.json may hold anything", name)
		}
		if name == "contract" {
			var saved partition.ContractSet
			if err := json.Unmarshal(text, &saved); err != nil {
				t.Fatal(err)
			}
			if err := set.Match(&saved); err != nil {
				t.Error(err)
			}
		}
	}
}
