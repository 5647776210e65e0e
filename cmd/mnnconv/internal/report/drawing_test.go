package report

import (
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"
	"testing"

	"mnnconv"
	"mnnconv/graph"
	"mnnconv/models"
	"mnnconv/models/qwen25vl"
	"mnnconv/partition"
	"mnnconv/runtime"
	"mnnconv/runtime/cpu"
	"mnnconv/runtime/sim"
	"mnnconv/schemas/op"
)

// tiny plans the bundled model. The caller must not run it.
func tiny(t *testing.T, place string) (*mnnconv.Source, []*partition.Plan, mnnconv.Options) {
	t.Helper()
	table := op.All()
	o := mnnconv.Options{Load: models.Options{Table: table}, Models: []models.Kind{qwen25vl.Kind}, Place: place,
		Backends: []runtime.Backend{&cpu.Backend{Table: table}, &sim.Backend{Table: table}}}
	s, err := mnnconv.Load("../../../../models/tinyvl", o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	plans, err := mnnconv.Plan(s, o)
	if err != nil {
		t.Fatal(err)
	}
	return s, plans, o
}

// placements are cut in ways that drawings differ by.
var placements = []string{"cpu", "vision=sim:0,llm=sim:1", "vision.blocks.1=sim:2,vision=sim:0,llm.layers.2=sim:2,llm=sim:1",
	`/^llm\.layers\.[0-9]+\.attn/=sim:1,llm.layers=sim:0`}

// TestDrawnWhole wants every partition, copy and crossing of the plans in the
// drawing, and nothing else.
func TestDrawnWhole(t *testing.T) {
	for _, place := range placements {
		_, plans, _ := tiny(t, place)
		d := Draw(plans)
		var want []string
		for _, p := range plans {
			want = append(want, crossings(p)...)
		}
		var got []string
		links := 0
		for _, e := range d.edges {
			if e.link {
				links++
				continue
			}
			for _, v := range e.values {
				name, _, _ := strings.Cut(v, " ")
				got = append(got, d.boxes[e.from].title+" > "+name+" > "+d.boxes[e.to].title)
			}
		}
		slices.Sort(want)
		slices.Sort(got)
		if !slices.Equal(got, want) {
			t.Errorf("%s: edges\n%s\nwant\n%s", place, strings.Join(got, "\n"), strings.Join(want, "\n"))
		}
		if links != 1 {
			t.Errorf("%s: %d links from encode to extend, want 1", place, links)
		}
		parts := 0
		for _, p := range plans {
			parts += len(p.Partitions())
		}
		drawn := 0
		for _, b := range d.boxes {
			if b.kind == part {
				drawn++
			}
		}
		if drawn != parts {
			t.Errorf("%s: %d partitions drawn, want %d", place, drawn, parts)
		}
	}
}

// crossings lists what crosses in a plan, as "producer > value > reader" by the
// titles of boxes.
func crossings(p *partition.Plan) []string {
	maker := map[*graph.Value]string{}
	state := map[*graph.Value]bool{}
	for _, s := range p.Graph.States {
		state[s.In], state[s.Out] = true, true
	}
	for _, v := range p.Graph.Inputs {
		maker[v] = p.Phase + ": inputs"
	}
	for _, s := range p.Steps {
		if s.Copy != nil {
			maker[s.Copy.Out(0)] = "copy " + s.Copy.Str("from", "") + " → " + s.Copy.Str("to", "")
			continue
		}
		for _, n := range s.Partition.Nodes {
			for _, v := range n.Outputs {
				maker[v] = fmt.Sprintf("%s %d on %s", p.Phase, s.Partition.Index, s.Partition.Target)
			}
		}
	}
	var out []string
	add := func(v *graph.Value, to string) {
		if v != nil && v.Const == nil && !state[v] && maker[v] != to {
			out = append(out, maker[v]+" > "+partition.Source(v).Name+" > "+to)
		}
	}
	for _, s := range p.Steps {
		if s.Copy != nil {
			out = append(out, maker[s.Copy.Inputs[0]]+" > "+partition.Source(s.Copy.Inputs[0]).Name+" > "+maker[s.Copy.Out(0)])
			continue
		}
		seen := map[*graph.Value]bool{}
		for _, n := range s.Partition.Nodes {
			n.Reads(func(v *graph.Value) {
				if !seen[v] {
					seen[v] = true
					add(v, fmt.Sprintf("%s %d on %s", p.Phase, s.Partition.Index, s.Partition.Target))
				}
			})
		}
	}
	for _, v := range p.Graph.Outputs {
		add(v, p.Phase+": outputs")
	}
	return out
}

func TestBoxesApart(t *testing.T) {
	for _, place := range placements {
		_, plans, _ := tiny(t, place)
		d := Draw(plans)
		w, h := d.size()
		for i, a := range d.boxes {
			if a.x < 0 || a.y < 0 || a.x+a.w > w || a.y+a.h > h {
				t.Errorf("%s: %s lies outside", place, a.title)
			}
			for _, b := range d.boxes[i+1:] {
				if a.x < b.x+b.w && b.x < a.x+a.w && a.y < b.y+b.h && b.y < a.y+a.h {
					t.Errorf("%s: %s and %s overlap", place, a.title, b.title)
				}
			}
		}
		for _, e := range d.edges {
			if a, b := d.boxes[e.from], d.boxes[e.to]; a.y+a.h >= b.y {
				t.Errorf("%s: %s is not above %s, which reads it", place, a.title, b.title)
			}
		}
	}
}

// hostile is a name that tries to become more than a name.
const hostile = `</title></script><script>alert(1)</script><img src="http://x/" onerror='alert(2)'>&amp;]]>` + "\x00\x1b[2J\u202e\n\\\""

// TestHostileNames wants names to stay text, in all that is written.
func TestHostileNames(t *testing.T) {
	_, plans, _ := tiny(t, "vision=sim:0")
	for _, p := range plans {
		for _, v := range p.Graph.Inputs {
			v.Name = hostile + v.Name
		}
		for _, n := range p.Graph.Nodes {
			n.Path = hostile
			for _, v := range n.Outputs {
				if v != nil {
					v.Name = hostile + v.Name
				}
			}
		}
	}
	d := Draw(plans)
	var svg, dot, page bytes.Buffer
	if err := errors.Join(d.WriteSVG(&svg), d.WriteDOT(&dot), hostileDocument(d).Write(&page)); err != nil {
		t.Fatal(err)
	}
	elements(t, "svg", svg.Bytes(), "script", "img")
	html := page.Bytes()
	if n := bytes.Count(html, []byte("<script")); n != 1 {
		t.Errorf("%d scripts, want 1", n)
	}
	html = regexp.MustCompile(`(?s)<script>.*?</script>|<style>.*?</style>|<!DOCTYPE html>`).ReplaceAll(html, nil)
	elements(t, "page", html, "script", "img")
	for _, out := range []string{svg.String(), dot.String(), string(html)} {
		if strings.ContainsAny(out, "\x00\x1b\u202e") {
			t.Error("control characters are written")
		}
		if !strings.Contains(out, "alert(1)") {
			t.Error("the name is not shown")
		}
	}
	// Without its strings, DOT has no character that a name brought.
	rest := regexp.MustCompile(`"(?:[^"\\]|\\.)*"`).ReplaceAllString(dot.String(), "")
	if strings.ContainsAny(rest, "\"\\<&") || strings.Contains(rest, "alert") {
		t.Errorf("a name leaves its string: %s", rest)
	}
}

func hostileDocument(d *Drawing) *Document {
	h := [2]string{hostile, hostile}
	return &Document{Title: hostile, Tool: hostile, Sections: []Section{{ID: "x", Title: hostile, Facts: [][2]string{h}, Text: h[:], Failures: h[:],
		Figures: []Figure{{hostile, d.Picture()}}, Tables: []Table{{hostile, h[:], [][]string{h[:]}}}, Details: []Detail{{hostile, [][2]string{h}}}, Commands: h[:]}}}
}

// elements parses XML strictly and wants none of some elements, and no attribute
// that runs something or leads elsewhere.
func elements(t *testing.T, what string, data []byte, unwanted ...string) {
	t.Helper()
	dec := xml.NewDecoder(bytes.NewReader(data))
	for {
		token, err := dec.Token()
		if errors.Is(err, io.EOF) {
			return
		}
		if err != nil {
			t.Fatalf("%s: %v", what, err)
		}
		start, ok := token.(xml.StartElement)
		if !ok {
			continue
		}
		if slices.Contains(unwanted, start.Name.Local) {
			t.Errorf("%s: an element %s", what, start.Name.Local)
		}
		for _, a := range start.Attr {
			elsewhere := slices.Contains([]string{"href", "src"}, a.Name.Local) && !strings.HasPrefix(a.Value, "#")
			if strings.HasPrefix(a.Name.Local, "on") || elsewhere {
				t.Errorf("%s: %s has %s=%q", what, start.Name.Local, a.Name.Local, a.Value)
			}
		}
	}
}

// TestSpaces wants the curves to reach what the layout says is alive at most.
func TestSpaces(t *testing.T) {
	s, plans, o := tiny(t, "vision=sim:0,llm=sim:1")
	budget, session, err := mnnconv.Fit(s, plans, o)
	if err != nil {
		t.Fatal(err)
	}
	bounds, _, err := s.Model.Bounds(session)
	if err != nil {
		t.Fatal(err)
	}
	spaces, err := Spaces(plans, bounds, budget)
	if err != nil {
		t.Fatal(err)
	}
	seen := 0
	for i, space := range spaces {
		for k, p := range plans {
			m, err := p.Layout(bounds[p.Phase])
			if err != nil {
				t.Fatal(err)
			}
			a := m.Arena(budget.Spaces[i].Space)
			if a == nil {
				continue
			}
			seen++
			if got := slices.Max(space.spans[k].live); got != a.Live {
				t.Errorf("%s in %s: at most %d bytes alive, want %d", space.Name, p.Phase, got, a.Live)
			}
			if points, _ := thin(space.spans[k].live); slices.Max(points) != a.Live || len(points) > mostPoints {
				t.Errorf("%s in %s: the curve has %d points and misses the peak", space.Name, p.Phase, len(points))
			}
		}
		elements(t, "chart", []byte(space.Chart(func(n int64) string { return fmt.Sprint(n) })))
	}
	if seen != 4 {
		t.Errorf("%d arenas, want 4: both phases on the cpu, each on its device", seen)
	}
}

func TestLeftOut(t *testing.T) {
	rows := make([][]string, mostTable+3)
	for i := range rows {
		rows[i] = []string{"a", "b"}
	}
	var b bytes.Buffer
	d := &Document{Sections: []Section{{ID: "x", Tables: []Table{{"many", []string{"a", "b"}, rows}}, Details: make([]Detail, mostTable+4)}}}
	if err := d.Write(&b); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"3 more rows are left out", "4 more are left out"} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("the page lacks %q", want)
		}
	}
}
