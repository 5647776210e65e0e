package trace

import (
	"bufio"
	"cmp"
	"encoding/json"
	"io"
	"math"
	"slices"
	"strconv"
	"time"
)

// Write ends the recording and writes it in the Trace Event Format, which Perfetto
// and chrome://tracing read: a thread for each track, a slice for each label's use,
// arrows from what a command reads to it, and counters. One slice of the host's,
// named name, goes from the beginning to now, with all others of its track in it.
//
// Slices of one track that neither nest nor follow each other get a second lane, and
// so on, as a track draws a stack.
func (r *Recorder) Write(w io.Writer, name string) error {
	now := time.Since(r.begin)
	whole := &Label{Track: Host, Name: name}
	recs := append([]record{{label: whole, to: int64(now)}}, r.records()...)
	c := &chrome{w: bufio.NewWriterSize(w, 1<<16), lanes: map[string][]*lane{}, at: map[command]placed{}}
	c.text(`{"displayTimeUnit":"ns","otherData":{"lost":`).int(int64(r.Lost())).text(`},"traceEvents":[`)
	c.text(`{"ph":"M","pid":1,"name":"process_name","args":{"name":"mnnconv"}}`)
	c.slices(recs)
	c.arrows(recs)
	for _, x := range recs {
		if x.counter {
			c.counter(x)
		}
	}
	c.text("]}\n")
	return c.w.Flush()
}

// chrome writes events. Errors stay in the buffered writer until its Flush.
type chrome struct {
	w       *bufio.Writer
	scratch []byte
	lanes   map[string][]*lane
	threads int
	flows   int
	at      map[command]placed
}

// lane is one thread of a track: the ends of the slices that are open in it.
type lane struct {
	thread int
	open   []int64
}

type command struct{ run, number int }

// placed is where a command's slice was drawn.
type placed struct {
	lane *lane
	from int64
}

func (c *chrome) text(s string) *chrome {
	_, _ = c.w.WriteString(s) // kept for Flush
	return c
}

func (c *chrome) int(n int64) *chrome {
	c.scratch = strconv.AppendInt(c.scratch[:0], n, 10)
	_, _ = c.w.Write(c.scratch)
	return c
}

// time writes nanoseconds as microseconds.
func (c *chrome) time(ns int64) *chrome {
	if ns < 0 { // before the recording: nothing is
		ns = 0
	}
	c.scratch = strconv.AppendInt(c.scratch[:0], ns/1000, 10)
	c.scratch = append(c.scratch, '.', byte('0'+ns/100%10), byte('0'+ns/10%10), byte('0'+ns%10))
	_, _ = c.w.Write(c.scratch)
	return c
}

func (c *chrome) json(v any) *chrome {
	b, err := json.Marshal(v)
	if err != nil { // a float that is no number
		b = []byte(`null`)
	}
	_, _ = c.w.Write(b)
	return c
}

// slices writes the slices, the outer ones first, and gives each a lane.
func (c *chrome) slices(recs []record) {
	var order []int
	for i, x := range recs {
		if !x.counter {
			order = append(order, i)
		}
	}
	slices.SortStableFunc(order, func(i, j int) int {
		a, b := recs[i], recs[j]
		return cmp.Or(cmp.Compare(a.from, b.from), cmp.Compare(b.to, a.to), kernelLast(a, b))
	})
	for _, i := range order {
		x := recs[i]
		l := x.label
		var t *lane
		if p, ok := c.at[command{x.run, l.Command}]; ok && l.Kernel {
			t = p.lane
		} else {
			t = c.lane(l.Track, x.from, x.to)
		}
		if l.Command > 0 && !l.Kernel {
			c.at[command{x.run, l.Command}] = placed{t, x.from}
		}
		c.text(",\n{\"ph\":\"X\",\"pid\":1,\"tid\":").int(int64(t.thread)).text(`,"ts":`).time(x.from).text(`,"dur":`).time(x.to - max(x.from, 0))
		c.text(`,"name":`).json(l.Name)
		c.args(x)
		c.text("}")
	}
}

// kernelLast orders two slices of the same times.
func kernelLast(a, b record) int {
	switch {
	case a.label.Kernel && !b.label.Kernel:
		return 1
	case b.label.Kernel && !a.label.Kernel:
		return -1
	}
	return 0
}

// args writes what a slice shows: its label's own, and rates.
func (c *chrome) args(x record) {
	l := x.label
	if len(l.Args) == 0 && l.Bytes == 0 && l.FLOPs == 0 {
		return
	}
	c.text(`,"args":{`)
	sep := ""
	arg := func(name string, v any) {
		c.text(sep).json(name).text(":").json(v)
		sep = ","
	}
	for _, a := range l.Args {
		arg(a.Name, a.Value)
	}
	if ns := float64(x.to - x.from); ns > 0 {
		if l.Bytes > 0 {
			arg("GB/s", math.Round(l.Bytes/ns*1000)/1000)
		}
		if l.FLOPs > 0 {
			arg("GFLOP/s", math.Round(l.FLOPs/ns*1000)/1000)
		}
	}
	c.text("}")
}

// lane returns the first lane of a track in which a slice fits, between others or
// within one.
func (c *chrome) lane(track string, from, to int64) *lane {
	for _, l := range c.lanes[track] {
		for len(l.open) > 0 && l.open[len(l.open)-1] <= from {
			l.open = l.open[:len(l.open)-1]
		}
		if len(l.open) == 0 || l.open[len(l.open)-1] >= to {
			l.open = append(l.open, to)
			return l
		}
	}
	c.threads++
	l := &lane{c.threads, []int64{to}}
	c.lanes[track] = append(c.lanes[track], l)
	name := track
	if n := len(c.lanes[track]); n > 1 {
		name += " " + strconv.Itoa(n)
	}
	rank := 2 // below the host: devices, then copies
	switch track {
	case Host:
		rank = 1
	case Copies:
		rank = 3
	}
	c.text(",\n{\"ph\":\"M\",\"pid\":1,\"tid\":").int(int64(l.thread)).text(`,"name":"thread_name","args":{"name":`).json(name).text("}}")
	c.text(",\n{\"ph\":\"M\",\"pid\":1,\"tid\":").int(int64(l.thread)).text(`,"name":"thread_sort_index","args":{"sort_index":`).int(int64(rank)).text("}}")
	return l
}

// arrows writes the arrows into every command. Both ends are bound to the slices
// that are open at their times.
func (c *chrome) arrows(recs []record) {
	for _, x := range recs {
		if x.counter || x.label.Kernel || x.label.Command == 0 {
			continue
		}
		to := c.at[command{x.run, x.label.Command}]
		for _, n := range x.label.After {
			from, ok := c.at[command{x.run, n}]
			if !ok {
				continue
			}
			c.flows++
			for _, end := range []struct {
				ph string
				at placed
			}{{`"s"`, from}, {`"f","bp":"e"`, to}} {
				c.text(",\n{\"ph\":").text(end.ph).text(`,"id":`).int(int64(c.flows)).text(`,"pid":1,"tid":`).int(int64(end.at.lane.thread))
				c.text(`,"ts":`).time(end.at.from).text(`,"cat":"data","name":"data"}`)
			}
		}
	}
}

func (c *chrome) counter(x record) {
	c.text(",\n{\"ph\":\"C\",\"pid\":1,\"ts\":").time(x.from).text(`,"name":`).json(x.label.Name)
	c.text(`,"args":{`).json(cmp.Or(x.label.Track, "value")).text(":").json(math.Float64frombits(uint64(x.to))).text("}}")
}
