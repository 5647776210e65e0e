package driver

import "fmt"

// Status is a CUresult that is not CUDA_SUCCESS.
type Status int32

// Statuses that decide what an error means.
const (
	OutOfMemory       Status = 2
	DeviceUnavailable Status = 46
	NotReady          Status = 600
)

// sticky are the statuses after which a context answers nothing else: of CUDA's
// documentation those that say "the process must be terminated and relaunched".
var sticky = map[Status]bool{
	214: true, 220: true, 226: true, 700: true, 702: true, 708: true, 709: true, 710: true, 714: true, 715: true, 716: true,
	717: true, 718: true, 719: true, 721: true, 723: true, 810: true, 999: true, DeviceUnavailable: true,
}

// Sticky reports whether the context is lost with this status.
func (s Status) Sticky() bool { return sticky[s] }

// Error is a call that failed.
type Error struct {
	Call   string
	Status Status
	Name   string // as the driver says, CUDA_ERROR_…
	Log    string // of a build
}

func (e *Error) Error() string {
	s := fmt.Sprintf("%s: %s (%d)", e.Call, e.Name, int32(e.Status))
	if e.Log != "" {
		s += ": " + e.Log
	}
	return s
}
