// Package runtime runs plans on devices. It owns the interfaces that a backend
// implements; no backend is imported here.
//
// What flows in: a verified partition.Plan per phase, opened devices, and host
// tensors for the graph's inputs. What flows out: host tensors of its outputs.
// Between two spaces data only moves by Transfer, through pinned host memory.
package runtime

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"mnnconv/graph"
	"mnnconv/partition"
)

// Backend is a kind of device. Opening it happens in Open; the rest needs no
// driver beyond what Profile looks for.
type Backend interface {
	Name() string
	// Profile describes one device. ErrUnavailable says what was looked for.
	Profile(ordinal int) (partition.Profile, error)
	partition.Lowerer
	Open(partition.Profile) (Device, error)
}

// Device is one memory space with one in-order queue.
type Device interface {
	// Alloc returns device memory, or host memory that the device can transfer
	// to and from. The caller closes the buffer.
	Alloc(size int64, kind MemoryKind) (Buffer, error)
	// Transfer moves bytes between this device's memory and pinned host memory, or
	// within its memory, after the events in waits.
	Transfer(dst, src View, waits []Event) (Event, error)
	Compile(*partition.Partition) (Program, error)
	Close() error
}

// MemoryKind says where a buffer lies.
type MemoryKind uint8

// The kinds of memory a device hands out.
const (
	DeviceMemory MemoryKind = iota
	PinnedHost
	SharedMemory // device memory that an Exporter can export; of other devices it is not asked for
)

// Buffer is memory that knows its space. Close releases it; any later use is an
// error, never a dereference.
type Buffer interface {
	Space() graph.Space
	Size() int64
	Close() error
}

// HostBuffer is a buffer whose bytes the host may touch: pinned host memory, and
// what the cpu backend allocates.
type HostBuffer interface {
	Buffer
	Bytes() ([]byte, error)
}

// View is a stretch of a buffer, in bytes.
type View struct {
	Buffer       Buffer
	Offset, Size int64
}

// Check returns an error unless the view lies inside its buffer and the buffer
// in the given space. what names the value, for the message.
func (v View) Check(space graph.Space, what string) error {
	switch {
	case v.Buffer == nil:
		return fmt.Errorf("%w: value %q has no memory in %s", ErrAddress, what, space)
	case v.Buffer.Space() != space:
		return fmt.Errorf("%w: value %q lies in %s and is used in %s: a copy is missing", ErrAddress, what, v.Buffer.Space(), space)
	case v.Offset < 0 || v.Size < 0 || v.Offset+v.Size > v.Buffer.Size():
		return fmt.Errorf("%w: value %q: bytes %d to %d of a buffer of %d in %s", ErrAddress, what, v.Offset, v.Offset+v.Size, v.Buffer.Size(), space)
	}
	return nil
}

// Event is a point in a device's queue.
type Event interface {
	Wait(context.Context) error
	// Times returns when the work ran, if the device measures that.
	Times() (start, end time.Time, ok bool)
}

// Program is a compiled partition. Programs are shared by sessions.
type Program interface {
	// Record lays out one launch for the given inputs, which stay bound.
	Record(Bindings) (Launch, error)
	Close() error
}

// Bound is a value's memory and shape. What is no bytes (see graph.Type.Flat) has no
// memory but is Held as it is, on the host.
type Bound struct {
	View  View
	Held  *graph.Tensor
	DType graph.DType
	Shape []int64
}

// Bindings are what one launch works on: its inputs, aligned with the partition's
// Inputs (states are among them), and where its other values lie: in Arena, at the
// offsets of Memory. Values without a slot are the backend's to allocate.
type Bindings struct {
	Inputs []Bound
	Memory *partition.Memory
	Arena  Buffer // of the partition's space; nil if the phase needs none there
	// TimeKernels asks a launch that can to tell when its kernels ran: KernelTimer.
	TimeKernels bool
}

// Place returns the stretch of the arena's bytes that a value of size bytes has,
// or nil if it has none.
func (b Bindings) Place(arena []byte, v *graph.Value, size int64) ([]byte, error) {
	s := b.Memory.Slot(v)
	if s == nil {
		return nil, nil
	}
	if size > s.Size {
		return nil, fmt.Errorf("%w: value %q needs %d bytes, the session was opened for %d (%v)", partition.ErrLimit, v.Name, size, s.Size, b.Memory.Bounds)
	}
	return arena[s.Offset : s.Offset+size : s.Offset+size], nil
}

// InArena returns the view of a value that lies in the arena, for a tensor of
// size bytes; ok is false if it does not.
func (b Bindings) InArena(v *graph.Value, size int64) (View, bool) {
	s := b.Memory.Slot(v)
	if s == nil || b.Arena == nil {
		return View{}, false
	}
	return View{b.Arena, s.Offset, size}, true
}

// Launch is a recorded run of a program; it can be submitted again and again,
// one at a time.
type Launch interface {
	Submit(ctx context.Context, waits []Event) (Event, error)
	// Outputs returns the memory and shapes of the partition's outputs, aligned
	// with Outputs; valid after Submit and until the next one. An output whose shape
	// only running tells has no Buffer until the event of Submit has been waited for.
	Outputs() ([]Bound, error)
	Close() error
}

// Exporter is a device whose memory another device, which reaches the same GPU, can
// import.
type Exporter interface {
	// Export returns memory of kind SharedMemory for Importer's Import.
	Export(Buffer) (Exported, error)
}

// Exported is memory on its way from one device to another.
type Exported struct {
	File  *os.File // of whom it is handed to
	Bytes int64    // that it stands for, at least those of the buffer
}

// Importer is a device that copies between its own memory and what it imported.
type Importer interface {
	// Import closes the file, whatever becomes of it. The buffer it returns stands
	// for original, is in its space, and may be a side of this device's transfers, alone.
	// It is closed before original is.
	Import(e Exported, original Buffer) (Buffer, error)
}

// Adopter is a device that can transfer to and from host memory that another device
// pinned, as it does with its own.
type Adopter interface {
	// Adopt returns the same bytes as pinned memory of this device. It is closed before
	// the original is. An error leaves the original as it was.
	Adopt(HostBuffer) (HostBuffer, error)
}

// LaunchCounter is a launch that tells what it queues when it is submitted.
type LaunchCounter interface {
	// LaunchCounts lists kernels by their own names, and how often each is launched.
	LaunchCounts() []LaunchCount
}

// LaunchCount is a kernel and how often it is launched.
type LaunchCount struct {
	Kernel string
	Count  int
}

// Errors that backends report, wrapped with what happened.
var (
	// ErrUnavailable: a driver or device is not there; the message says what was
	// looked for and where.
	ErrUnavailable = errors.New("device unavailable")
	// ErrMemory: a device or the host has not enough memory.
	ErrMemory = errors.New("out of memory")
	// ErrAddress: memory was used in the wrong space, out of bounds or after its
	// release.
	ErrAddress = errors.New("invalid device address")
	// ErrExecution: a kernel failed to build or to run.
	ErrExecution = errors.New("execution failed")
	// ErrLost: a device answers nothing any more, by its driver's word or because what was
	// queued never ended. Nobody calls it again.
	ErrLost = fmt.Errorf("%w: device lost", ErrExecution)
	// ErrChecks: what is to be checked cannot be read, or not be checked there.
	ErrChecks = errors.New("checks")
)
