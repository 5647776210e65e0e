package trace

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"
)

// event is one entry of a written trace.
type event struct {
	Ph   string         `json:"ph"`
	Tid  int            `json:"tid"`
	ID   int            `json:"id"`
	Ts   float64        `json:"ts"`
	Dur  float64        `json:"dur"`
	Name string         `json:"name"`
	Args map[string]any `json:"args"`
}

func written(t *testing.T, r *Recorder) []event {
	t.Helper()
	var b bytes.Buffer
	if err := r.Write(&b, "whole"); err != nil {
		t.Fatal(err)
	}
	var f struct{ TraceEvents []event }
	if err := json.Unmarshal(b.Bytes(), &f); err != nil {
		t.Fatalf("%v in %s", err, b.String())
	}
	return f.TraceEvents
}

func TestWrite(t *testing.T) {
	begin := time.Now()
	at := func(us int) time.Time { return begin.Add(time.Duration(us) * time.Microsecond) }
	r := New(begin, Options{Slices: true})
	part := &Label{Track: "sim:0", Name: "partition 0", Command: 1, FLOPs: 4000}
	kernel := &Label{Track: "sim:0", Name: "MatMul", Command: 1, Kernel: true}
	move := &Label{Track: Copies, Name: "copy \"x\"", Command: 2, After: []int{1, 7}, Bytes: 3000, Args: []Arg{{"bytes", int64(3000)}}}
	reader := &Label{Track: "cpu", Name: "partition 1", Command: 3, After: []int{2}}
	run := r.Run()
	r.Slice(part, at(10), at(20), run, 0)
	r.Slice(kernel, at(10), at(15), run, 0)
	r.Slice(move, at(20), at(23), run, 0)
	r.Slice(reader, at(30), at(40), run, 0)
	r.Slice(reader, at(35), at(50), r.Run(), 0) // overlaps: another lane, and no arrows into another run
	r.Count(&Label{Name: "tokens/s"}, 12.5)
	r.Grow("sim:0", "arena", 100)
	r.Grow("sim:0", "arena", -40)

	threads, slices := map[int]string{}, map[string][]event{}
	var counts []float64
	flows := map[int][]event{}
	for _, e := range written(t, r) {
		switch e.Ph {
		case "M":
			if name, ok := e.Args["name"].(string); ok && e.Name == "thread_name" {
				threads[e.Tid] = name
			}
		case "X":
			slices[e.Name] = append(slices[e.Name], e)
		case "C":
			for _, v := range e.Args {
				counts = append(counts, v.(float64))
			}
		case "s", "f":
			flows[e.ID] = append(flows[e.ID], e)
		}
	}
	for name, want := range map[string]string{"whole": "[host 0]", "partition 0": "[sim:0 10]", "MatMul": "[sim:0 5]", "copy \"x\"": "[copies 3]", "partition 1": "[cpu 10 cpu 2 15]"} {
		var got []string
		for _, e := range slices[name] {
			if name == "whole" {
				e.Dur = 0 // as long as the test took
			}
			got = append(got, fmt.Sprint(threads[e.Tid], " ", e.Dur))
		}
		if fmt.Sprint(got) != want {
			t.Errorf("%s: %v, want %s", name, got, want)
		}
	}
	if a := slices["copy \"x\""][0].Args; a["bytes"] != 3000.0 || a["GB/s"] != 1.0 {
		t.Errorf("the copy shows %v", a)
	}
	if a := slices["partition 0"][0].Args; a["GFLOP/s"] != 0.4 {
		t.Errorf("the partition shows %v", a)
	}
	if fmt.Sprint(counts) != "[12.5 100 60]" {
		t.Errorf("counters %v", counts)
	}
	if len(flows) != 2 {
		t.Fatalf("%d arrows, want one into the copy and one out of it", len(flows))
	}
	for id, want := range map[int]string{1: "10 20", 2: "20 30"} {
		if f := flows[id]; len(f) != 2 || fmt.Sprint(f[0].Ts, " ", f[1].Ts) != want {
			t.Errorf("arrow %d: %+v, want from and to %s", id, f, want)
		}
	}
}

func TestTotals(t *testing.T) {
	begin := time.Now()
	r := New(begin, Options{})
	l := &Label{Track: "cpu", Name: "partition 0", Bytes: 10, FLOPs: 5, ContextBytes: 2, ContextFLOPs: 1}
	same := &Label{Track: "cpu", Name: "partition 0", Bytes: 100}
	r.Sum("prefill", "extend", l)
	r.Sum("decode", "extend", same)
	r.Sum("decode", "extend", &Label{Track: "cpu", Name: "partition 0"})
	for i := range 3 {
		r.Slice(l, begin, begin.Add(time.Second), 0, float64(i))
	}
	r.Slice(same, begin, begin.Add(time.Second), 0, 0)
	want := []Total{
		{"prefill", "extend", "cpu", "partition 0", 3, 3 * time.Second, 36, 18},
		{"decode", "extend", "cpu", "partition 0", 1, time.Second, 100, 0},
	}
	if got := r.Totals(); fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("got %v\nwant %v", got, want)
	}
	if len(r.chunks) != 0 {
		t.Error("single slices are kept")
	}
}

// TestRing wants the newest records kept, and those lost counted.
func TestRing(t *testing.T) {
	begin := time.Now()
	r := New(begin, Options{Slices: true})
	const all = maxChunks*chunkSize + 10
	l := HostLabel("x")
	for i := range all {
		r.Slice(l, begin.Add(time.Duration(i)), begin.Add(time.Duration(i)), 0, 0)
	}
	recs := r.records()
	if r.Lost() != 10 || len(recs) != maxChunks*chunkSize || recs[0].from != 10 || recs[len(recs)-1].from != all-1 {
		t.Errorf("%d lost, %d kept, from %d to %d", r.Lost(), len(recs), recs[0].from, recs[len(recs)-1].from)
	}
}

// TestAllocations wants a recorder that is off to allocate nothing, and one that is
// on next to nothing.
func TestAllocations(t *testing.T) {
	l, now := HostLabel("x"), time.Now()
	for name, r := range map[string]*Recorder{"off": nil, "sums": New(now, Options{}), "slices": New(now, Options{Slices: true})} {
		if n := testing.AllocsPerRun(1000, func() {
			s := r.Begin(l)
			r.Slice(l, now, now, r.Run(), 0)
			r.Count(l, 1)
			s.End()
		}); n != 0 { // a chunk now and then is less than one a run
			t.Errorf("%s: %v allocations", name, n)
		}
	}
}

type fullDisk struct{}

func (fullDisk) Write([]byte) (int, error) { return 0, fmt.Errorf("disk full") }

func TestWriteFails(t *testing.T) {
	r := New(time.Now(), Options{Slices: true})
	if err := r.Write(fullDisk{}, "x"); err == nil || !strings.Contains(err.Error(), "disk full") {
		t.Errorf("got %v", err)
	}
}
