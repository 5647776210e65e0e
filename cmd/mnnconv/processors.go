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
	most := goruntime.GOMAXPROCS(0)
	_, _ = maxprocs.Set(maxprocs.RoundQuotaFunc(func(allowed float64) int { return min(most, int(math.Ceil(allowed))) }))
}
