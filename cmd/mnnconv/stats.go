package main

import (
	"fmt"

	"mnnconv/partition"
	"mnnconv/runtime/trace"
)

// statsReport says where the time of all runs went.
type statsReport struct {
	Rows []statsRow `json:"rows"`
}

// statsRow is a partition, or one hop of a copy, in one part of a phase. Rates are
// left out where there is nothing to divide, shares of a ceiling where the device's
// profile has none.
type statsRow struct {
	Part    string  `json:"part"`  // encode, prefill, decode
	Phase   string  `json:"phase"` // of the plan
	Device  string  `json:"device,omitempty"`
	What    string  `json:"what"`
	Runs    int     `json:"runs"`
	Seconds float64 `json:"seconds"`
	Share   float64 `json:"share"`            // of the part's time
	Memory  int64   `json:"memory,omitempty"` // bytes planned in the device's space during the phase
	Bytes   float64 `json:"bytes"`            // read and written, or moved
	FLOPs   float64 `json:"flops,omitempty"`

	GBs        float64 `json:"gb_s,omitempty"`
	GBsShare   float64 `json:"gb_s_share,omitempty"` // of the profile's ceiling
	GFLOPs     float64 `json:"gflop_s,omitempty"`
	FLOPsShare float64 `json:"gflop_s_share,omitempty"`
}

// report sums up what ran so far.
func (o *runOptions) report() *statsReport {
	return newStatsReport(o.trace.recorder.Totals(), o.program.Plans, o.budget)
}

func newStatsReport(totals []trace.Total, plans []*partition.Plan, budget *partition.Budget) *statsReport {
	r := &statsReport{Rows: []statsRow{}}
	parts := map[string]float64{} // seconds of each
	for _, t := range totals {
		if t.Track == trace.Host {
			parts[t.Part] += t.Time.Seconds()
		}
	}
	for _, t := range totals {
		if t.Track == trace.Host || t.Count == 0 {
			continue
		}
		row := statsRow{Part: t.Part, Phase: t.Phase, What: t.Name, Runs: t.Count, Seconds: t.Time.Seconds(), Bytes: t.Bytes, FLOPs: t.FLOPs}
		if parts[t.Part] > 0 {
			row.Share = row.Seconds / parts[t.Part]
		}
		if row.Seconds > 0 {
			row.GBs, row.GFLOPs = row.Bytes/row.Seconds/1e9, row.FLOPs/row.Seconds/1e9
		}
		if t.Track != trace.Copies {
			row.Device = t.Track
			row.Memory = plannedMemory(budget, t)
			if m := measured(plans, t.Track); m != nil && m.Memory > 0 {
				row.GBsShare = row.GBs / m.Memory
			}
			if m := measured(plans, t.Track); m != nil && m.Compute > 0 {
				row.FLOPsShare = row.GFLOPs / m.Compute
			}
		}
		r.Rows = append(r.Rows, row)
	}
	return r
}

// plannedMemory is what a phase needs in the space of a total's device.
func plannedMemory(b *partition.Budget, t trace.Total) int64 {
	if b == nil {
		return 0
	}
	for _, s := range b.Spaces {
		for _, p := range s.Phases {
			if string(s.Space) == t.Track && p.Phase == t.Phase {
				return p.Total()
			}
		}
	}
	return 0
}

// measured returns the speeds in a device's profile; nil: nobody measured them.
func measured(plans []*partition.Plan, device string) *partition.Measured {
	for _, p := range plans {
		if profile, ok := p.Profile(device); ok {
			return profile.Measured
		}
	}
	return nil
}

func (r *statsReport) table() table {
	t := table{{"part", "device", "what", "runs", "time", "share", "memory", "bytes", "GB/s", "GFLOP/s"}}
	for _, x := range r.Rows {
		t.add(x.Part, x.Device, printable(x.What), fmt.Sprint(x.Runs), fmt.Sprintf("%.1f ms", x.Seconds*1e3), fmt.Sprintf("%.1f %%", x.Share*100),
			sizeText(x.Memory), sizeText(int64(x.Bytes)), rateText(x.GBs, x.GBsShare), rateText(x.GFLOPs, x.FLOPsShare))
	}
	return t
}

// rateText is a rate and, where it is known, what share of the ceiling that is.
func rateText(rate, share float64) string {
	switch {
	case rate == 0:
		return "-"
	case share > 0:
		return fmt.Sprintf("%.3g (%.0f %%)", rate, share*100)
	}
	return fmt.Sprintf("%.3g", rate)
}
