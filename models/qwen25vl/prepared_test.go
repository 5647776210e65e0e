package qwen25vl_test

import (
	"errors"
	"slices"
	"testing"

	"mnnconv"
	"mnnconv/graph"
	"mnnconv/models"
	"mnnconv/models/generate"
	"mnnconv/models/picture"
	"mnnconv/models/qwen25vl"
	"mnnconv/runtime"
	"mnnconv/runtime/cpu"
	"mnnconv/schemas/op"
	"mnnconv/tests"
)

// session opens the bundled model on the cpu.
func session(t *testing.T) *qwen25vl.Session {
	t.Helper()
	table := op.All()
	o := mnnconv.Options{Load: models.Options{Table: table}, Models: []models.Kind{qwen25vl.Kind}, Backends: []runtime.Backend{&cpu.Backend{Table: table}}}
	source, err := mnnconv.Load(tests.Export(t, "tjs-fp16"), o)
	if err != nil {
		t.Fatal(err)
	}
	program, err := mnnconv.Open(source, o)
	if err != nil {
		t.Fatal(err)
	}
	chat, err := program.Chat(256)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := errors.Join(chat.Close(), program.Close(), source.Close()); err != nil {
			t.Error(err)
		}
	})
	return chat.(*qwen25vl.Session)
}

// prepared is a reference conversation as a program with its own template would
// hand it over.
func prepared(t testing.TB, c tests.Conversation) qwen25vl.Prepared {
	t.Helper()
	var q qwen25vl.Prepared
	for _, id := range graph.View[int64](c.Arrays["input_ids"]) {
		q.IDs = append(q.IDs, int32(id))
	}
	for a := range q.Positions {
		q.Positions[a] = graph.View[int64](c.Arrays["position_ids"])[a*len(q.IDs) : (a+1)*len(q.IDs)]
	}
	config := picture.Qwen()
	config.MinPixels, config.MaxPixels = 7056, 50176
	add := func(pixels []float32, g [3]int64, err error) {
		if err != nil {
			t.Fatal(err)
		}
		q.Pixels, q.Grids = append(q.Pixels, pixels...), append(q.Grids, qwen25vl.Grid{T: g[0], H: g[1], W: g[2]})
	}
	for _, m := range c.Media(t) {
		if m.Video {
			add(picture.ProcessVideo(config, m.Frames))
		} else {
			add(picture.Process(config, m.Frames[0]))
		}
	}
	return q
}

func TestAskPrepared(t *testing.T) {
	s := session(t)
	for _, c := range tests.Conversations(t) {
		t.Run(c.Name, func(t *testing.T) {
			a, err := s.AskPrepared(t.Context(), prepared(t, c), models.Settings{Sampling: generate.Options{TopP: 1, RepetitionPenalty: 1}})
			if err != nil {
				t.Fatal(err)
			}
			want := graph.View[int64](c.Arrays["tokens"])
			if !slices.EqualFunc(a.Tokens, want[:len(want)-1], func(x int32, y int64) bool { return int64(x) == y }) {
				t.Errorf("tokens %v, want %v", a.Tokens, want)
			}
		})
	}
}

func TestPrepareRefuses(t *testing.T) {
	s := session(t)
	i := slices.IndexFunc(tests.Conversations(t), func(c tests.Conversation) bool { return c.Name == "two_images" })
	good := prepared(t, tests.Conversations(t)[i])
	for name, spoil := range map[string]func(q *qwen25vl.Prepared){
		"a position too few":    func(q *qwen25vl.Prepared) { q.Positions[2] = q.Positions[2][1:] },
		"a picture too few":     func(q *qwen25vl.Prepared) { q.Grids, q.Pixels = q.Grids[:1], q.Pixels[:q.Grids[0].Patches()*1176] },
		"pixels too few":        func(q *qwen25vl.Prepared) { q.Pixels = q.Pixels[:len(q.Pixels)-1176] },
		"pixels too many":       func(q *qwen25vl.Prepared) { q.Pixels = append(slices.Clone(q.Pixels), 0) },
		"a grid not in blocks":  func(q *qwen25vl.Prepared) { q.Grids = []qwen25vl.Grid{{T: 1, H: 7, W: 20}} },
		"a grid out of range":   func(q *qwen25vl.Prepared) { q.Grids = []qwen25vl.Grid{{T: 1 << 30, H: 1 << 30, W: 1 << 30}} },
		"a grid below zero":     func(q *qwen25vl.Prepared) { q.Grids = []qwen25vl.Grid{{T: -1, H: -2, W: 2}} },
		"embeddings of another": func(q *qwen25vl.Prepared) { q.Embeddings = graph.Floats(make([]float32, 8), 2, 4) },
	} {
		t.Run(name, func(t *testing.T) {
			q := good
			spoil(&q)
			if p, err := s.Prepare(t.Context(), q); err == nil {
				t.Errorf("prepared as %+v", p)
			}
		})
	}
}
