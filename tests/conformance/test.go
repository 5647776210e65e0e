package conformance

import (
	"testing"

	"mnnconv/runtime"
	"mnnconv/schemas/op"
)

// Test runs the suite with all nodes on device 0 of a backend that it can run, and
// the others on the host; nil: all on the host. Every case is a subtest, but for
// those of skip.txt and those of which the backend claims no node; their numbers are
// logged. On the host, a line of skip.txt all of whose cases pass is an error.
func Test(t *testing.T, host, backend runtime.Backend) {
	b, err := NewBench(op.All(), host, backend)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := b.Close(); err != nil {
			t.Error(err)
		}
	}()
	cases, err := Cases()
	if err != nil {
		t.Fatal(err)
	}
	list, err := Skips()
	if err != nil {
		t.Fatal(err)
	}
	passed, skips, unclaimed := 0, 0, 0
	needed := map[*Skip]bool{}
	for _, c := range cases {
		if s := skipped(list, c); s != nil {
			skips++
			needed[s] = needed[s] || backend != nil || b.run(t, c) != nil
			continue
		}
		p, err := b.Plan(c)
		if err == nil && !p.Claimed() {
			unclaimed++
			if err := p.Close(); err != nil {
				t.Error(err)
			}
			continue
		}
		ok := t.Run(c.String(), func(t *testing.T) {
			if err != nil {
				t.Fatal(err)
			}
			defer func() {
				if err := p.Close(); err != nil {
					t.Error(err)
				}
			}()
			if err := p.Run(t.Context()); err != nil {
				t.Error(err)
			}
		})
		if ok {
			passed++
		}
	}
	for i := range list {
		if !needed[&list[i]] {
			t.Errorf("all cases of %s pass: take the line from skip.txt", list[i].Pattern)
		}
	}
	t.Logf("%s: %d of %d cases passed, %d are in skip.txt, of %d it claims no node", b.Device.Profile.Name, passed, len(cases), skips, unclaimed)
}

// run plans and runs a case.
func (b *Bench) run(t *testing.T, c *Case) error {
	p, err := b.Plan(c)
	if err != nil {
		return err
	}
	defer func() {
		if err := p.Close(); err != nil {
			t.Error(err)
		}
	}()
	return p.Run(t.Context())
}
