package tests

import (
	"context"
	"path/filepath"
	"slices"
	"testing"

	"mnnconv"
	"mnnconv/models"
)

// written converts a model folder and returns the package's path.
func written(t testing.TB, dir string, o mnnconv.Options) string {
	t.Helper()
	return changed(t, dir, o, func(*mnnconv.Source) {})
}

// changed writes a model folder, after a change, as a package.
func changed(t testing.TB, dir string, o mnnconv.Options, change func(*mnnconv.Source)) string {
	t.Helper()
	src, err := mnnconv.Load(dir, o)
	if err != nil {
		t.Fatal(err)
	}
	defer src.Close()
	change(src)
	plans, err := mnnconv.Plan(src, o)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "model.mnnc")
	if err := mnnconv.Convert(context.Background(), src, plans, path, mnnconv.ConvertOptions{Tool: "mnnconv test", Rules: o.Place}); err != nil {
		t.Fatal(err)
	}
	return path
}

// tokens answers reference conversations: one about text, one about pictures.
func tokens(t testing.TB, s models.Session) (out [][]int32) {
	t.Helper()
	for _, c := range Conversations(t) {
		if c.Name != "text_only" && c.Name != "two_images" {
			continue
		}
		a, err := s.Ask(context.Background(), c.Asking(t), greedy)
		if err != nil {
			t.Fatalf("%s: %v", c.Name, err)
		}
		if a.Text != c.Text {
			t.Errorf("%s: %q, want %q", c.Name, a.Text, c.Text)
		}
		out = append(out, a.Tokens)
	}
	return out
}

// TestPackages converts each export kept here and runs the package, as it was
// cut, cut anew, and converted once more.
func TestPackages(t *testing.T) {
	const apart = "vision=sim:0,llm=sim:1"
	for _, c := range []struct{ export, place, anew string }{
		{"tjs-fp16", "", apart},
		{"tjs-fp16", apart, "cpu"},
		{"tjs-fp16", "llm.layers.0-1=sim:0,llm.layers.2-3=sim:1", "llm=sim:0"},
		{"tjs-q4f16", apart, "cpu"},
		{"olive-cpu-int4", apart, "cpu"},
	} {
		t.Run(c.export+"/"+c.place, func(t *testing.T) {
			o := options(c.place)
			if c.export == "olive-cpu-int4" {
				o.Load.MinPixels, o.Load.MaxPixels = 7056, 50176
			}
			dir := Export(t, c.export)
			want := tokens(t, chat(t, dir, o))
			path := written(t, dir, o)

			o.Place = ""
			if got := tokens(t, chat(t, path, o)); !slices.EqualFunc(got, want, slices.Equal) {
				t.Errorf("the package answers %v, the export %v", got, want)
			}
			twice := written(t, path, o)
			if got := tokens(t, chat(t, twice, o)); !slices.EqualFunc(got, want, slices.Equal) {
				t.Errorf("the package of the package answers %v, the export %v", got, want)
			}
			o.Place = c.anew
			if got := tokens(t, chat(t, path, o)); !slices.EqualFunc(got, want, slices.Equal) {
				t.Errorf("cut anew by %s the package answers %v, the export %v", c.anew, got, want)
			}
		})
	}
}

// BenchmarkStart opens the bundled model up to its first session, from the
// exporter's folder and from a package.
func BenchmarkStart(b *testing.B) {
	o := options("")
	dir := Export(b, "tjs-fp16")
	for name, path := range map[string]string{"export": dir, "package": written(b, dir, o)} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				src, err := mnnconv.Load(path, o)
				if err != nil {
					b.Fatal(err)
				}
				p, err := mnnconv.Open(src, o)
				if err != nil {
					b.Fatal(err)
				}
				s, err := p.Chat(0)
				if err != nil {
					b.Fatal(err)
				}
				for _, c := range []interface{ Close() error }{s, p, src} {
					if err := c.Close(); err != nil {
						b.Fatal(err)
					}
				}
			}
		})
	}
}
