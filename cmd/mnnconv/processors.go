package main

import (
	"math"
	goruntime "runtime"

	"go.uber.org/automaxprocs/maxprocs"
)

// limitProcessors follows a cgroup that allows less than two processors, where Go takes two:
// workers that wait for each other on one processor take each other's time, and half of the
// speed is lost. A limit that cannot be read is left to Go, as is GOMAXPROCS where it is set.
func limitProcessors() {
	const least = 2 // that Go takes for a limit: other numbers follow it, or what there is, already
	if goruntime.GOMAXPROCS(0) != least {
		return
	}
	_, _ = maxprocs.Set(maxprocs.RoundQuotaFunc(func(allowed float64) int { return min(least, int(math.Ceil(allowed))) }))
}
