package serve

import (
	"bytes"
	"context"
	"io"
	"net/http"
	goruntime "runtime"

	"golang.org/x/sync/semaphore"
)

const (
	// perByte is what a byte of a body costs while its request lasts: it lies in the
	// decoder's buffer, which doubles as it grows and whose last half is copied, in the
	// strings, and in the bytes of a picture.
	perByte = 6
	// perObject is what an object costs beside its bytes, of which it may have two.
	perObject = 256
	// freeMemory is what each request may have unasked, so that short ones are answered
	// while long ones have taken all.
	freeMemory = 64 << 10
	// memoryStep is how much is asked for at once.
	memoryStep = 1 << 20
)

var errMemory = failure{http.StatusServiceUnavailable, "overloaded", "", "other requests hold the memory that there is for requests; try again later"}

// memory bounds what requests hold together: as much as came of their bodies, not what
// they say will come, and their pictures. Nobody waits for it, since who waits would
// hold what another waits for.
type memory struct {
	all      *semaphore.Weighted
	decoding *semaphore.Weighted // pictures that are decoded at a time
}

// perPixel is what a picture costs while it is decoded.
const perPixel = 3

// LeastMemory returns the least that requests must be able to hold where pictures may
// have so many pixels.
func LeastMemory(pixels int) int64 { return perPixel*int64(pixels) + memoryStep }

func newMemory(most int64) *memory {
	return &memory{semaphore.NewWeighted(most), semaphore.NewWeighted(int64(goruntime.GOMAXPROCS(0)))}
}

// holding is what one request holds.
type holding struct {
	m       *memory
	used    int64
	granted int64 // beyond freeMemory
}

// use takes n bytes more, or none with errMemory; n may be negative.
func (h *holding) use(n int64) error {
	h.used += n
	if more := h.used - freeMemory - h.granted; more > 0 {
		more = (more + memoryStep - 1) / memoryStep * memoryStep
		if !h.m.all.TryAcquire(more) {
			h.used -= n
			return errMemory
		}
		h.granted += more
	}
	return nil
}

// release gives all back.
func (h *holding) release() {
	h.m.all.Release(h.granted)
	h.used, h.granted = 0, 0
}

// decode runs a picture's decoder, which may take most bytes and says how many of them
// are kept.
func (h *holding) decode(ctx context.Context, most int64, decode func() (kept int64, err error)) error {
	if err := h.m.decoding.Acquire(ctx, 1); err != nil {
		return context.Cause(ctx)
	}
	defer h.m.decoding.Release(1)
	if err := h.use(most); err != nil {
		return err
	}
	kept, err := decode()
	h.used -= most - kept
	if spare := (h.granted - max(0, h.used-freeMemory)) / memoryStep * memoryStep; spare > 0 {
		h.granted -= spare
		h.m.all.Release(spare)
	}
	return err
}

// counted is a body whose bytes are held.
type counted struct {
	io.Reader
	h *holding
}

func (c counted) Read(p []byte) (int, error) {
	n, err := c.Reader.Read(p)
	if err := c.h.use(int64(n)*perByte + int64(bytes.Count(p[:n], []byte{'{'}))*perObject); err != nil {
		return 0, err
	}
	return n, err
}
