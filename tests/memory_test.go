package tests

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"mnnconv"
	"mnnconv/models"
	"mnnconv/partition"
	"mnnconv/runtime/sim"
)

// TestBudgetHolds asks all reference questions under limits of exactly what the
// budget says each simulated device needs, and compares its own books; one byte
// less is refused before a device is opened.
func TestBudgetHolds(t *testing.T) {
	dir := Export(t, "tjs-fp16")
	for _, c := range []struct{ place, policy string }{
		{"sim:0", ""},
		{"sim:0", "sim:0=keep:state"},
		{"vision=sim:0,llm=sim:0", "sim:0=release:vision"},
		{"vision=sim:0,llm=sim:1", ""},
		{"embed=sim:1,llm.layers.0-1=sim:0,llm=sim:1,vision=sim:2", ""},
	} {
		place := c.place
		t.Run(c.place+" "+c.policy, func(t *testing.T) {
			o := options(place)
			o.Memory = partition.Policy{}
			if c.policy != "" {
				if err := o.Memory.Parse(c.policy); err != nil {
					t.Fatal(err)
				}
			}
			var budget *partition.Budget
			o.Planned = func(_ []*partition.Plan, b *partition.Budget, _ models.SessionOptions) { budget = b }
			o.Session.Capacity = 512
			opened := map[string]*sim.Device{}
			var order []string // of the rules, in which devices are opened
			for _, rule := range strings.Split(place, ",") {
				if name := rule[strings.Index(rule, "sim"):]; !slices.Contains(order, name) {
					order = append(order, name)
				}
			}
			o.Backends[1].(*sim.Backend).Opened = func(d *sim.Device) { opened[order[len(opened)]] = d }
			session := chat(t, dir, o)
			for _, c := range Conversations(t) {
				if _, err := session.Ask(context.Background(), c.Asking(t), greedy); err != nil {
					t.Fatalf("%s: %v", c.Name, err)
				}
			}
			for _, b := range budget.Spaces {
				d := opened[string(b.Space)]
				if d == nil { // the cpu
					continue
				}
				if most := d.Stats().HighWater; most > b.Peak || float64(b.Peak) > 1.1*float64(most) {
					t.Errorf("%s took %d bytes, the budget says %d", b.Space, most, b.Peak)
				}
				less := options(place)
				less.Session.Capacity = 512
				less.Memory = maps.Clone(o.Memory)
				if err := less.Memory.Parse(fmt.Sprintf("%s=limit:%d", b.Space, b.Peak-1)); err != nil {
					t.Fatal(err)
				}
				less.Backends[1].(*sim.Backend).Opened = func(*sim.Device) { t.Error("a device was opened") }
				src, err := mnnconv.Load(dir, less)
				if err != nil {
					t.Fatal(err)
				}
				if _, err := mnnconv.Open(src, less); !errors.Is(err, partition.ErrMemory) {
					t.Errorf("%s with one byte less: %v", b.Space, err)
				}
				if err := src.Close(); err != nil {
					t.Error(err)
				}
			}
		})
	}
}
