package tests

import (
	"context"
	"testing"

	"mnnconv"
	"mnnconv/models"
	"mnnconv/models/generate"
	"mnnconv/models/qwen25vl"
	"mnnconv/runtime"
	"mnnconv/runtime/cpu"
	"mnnconv/runtime/sim"
	"mnnconv/schemas/op"
)

// options are the library's, with every backend that runs without a driver.
func options(place string) mnnconv.Options {
	table := op.All()
	return mnnconv.Options{
		Load:     models.Options{Table: table},
		Models:   []models.Kind{qwen25vl.Kind},
		Backends: []runtime.Backend{&cpu.Backend{Table: table}, &sim.Backend{Table: table}},
		Place:    place,
	}
}

// chat opens a session over a model folder; everything is closed with the test.
func chat(t testing.TB, dir string, o mnnconv.Options) models.Session {
	t.Helper()
	src, err := mnnconv.Load(dir, o)
	if err != nil {
		t.Fatal(err)
	}
	p, err := mnnconv.Open(src, o)
	if err != nil {
		t.Fatal(err)
	}
	s, err := p.Chat(0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		for _, c := range []interface{ Close() error }{s, p, src} {
			if err := c.Close(); err != nil {
				t.Error(err)
			}
		}
	})
	return s
}

// greedy chooses the likeliest token, without a penalty.
var greedy = models.Settings{Sampling: generate.Options{Temperature: 1, TopP: 1, RepetitionPenalty: 1}}

// TestQuestions asks twenty more on the cpu.
func TestQuestions(t *testing.T) {
	s := chat(t, Export(t, "tjs-fp16"), options(""))
	list := Questions(t)
	if len(list) != 20 {
		t.Fatalf("%d questions", len(list))
	}
	for _, c := range list {
		a, err := s.Ask(context.Background(), c.Asking(t), greedy)
		if err != nil {
			t.Fatalf("%s: %v", c.Name, err)
		}
		if a.Text != c.Text {
			t.Errorf("%s: %q, want %q", c.Name, a.Text, c.Text)
		}
	}
}

// TestAnswers asks the seven reference questions of each export kept here,
// on the cpu and cut over other devices, and wants PyTorch's words.
func TestAnswers(t *testing.T) {
	for _, export := range []string{"tjs-fp16", "tjs-q4f16", "olive-cpu-int4"} {
		dir := Export(t, export)
		for _, place := range []string{"", "vision=sim:0", "vision=sim:0,llm=sim:1"} {
			if export != "tjs-fp16" && place == "vision=sim:0" {
				continue
			}
			t.Run(export+"/"+place, func(t *testing.T) {
				o := options(place)
				if export == "olive-cpu-int4" { // its side files do not know the model's limits
					o.Load.MinPixels, o.Load.MaxPixels = 7056, 50176
				}
				s := chat(t, dir, o)
				for _, c := range Conversations(t) {
					a, err := s.Ask(context.Background(), c.Asking(t), greedy)
					if err != nil {
						t.Fatalf("%s: %v", c.Name, err)
					}
					if a.Text != c.Text {
						t.Errorf("%s: %q, want %q", c.Name, a.Text, c.Text)
					}
				}
			})
		}
	}
}
