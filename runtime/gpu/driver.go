package gpu

import (
	"time"

	"mnnconv/graph"
)

// Driver is one opened device as its interface shows it: a context, one in-order
// queue, and no graphs. Errors wrap the runtime's sentinels. Except for Begin and End
// its methods are called between the two, by one goroutine at a time.
type Driver interface {
	// Begin starts a run of calls on this goroutine, End ends it: a driver whose
	// context belongs to a thread locks it meanwhile.
	Begin() error
	End()

	Limits() Limits
	// Free returns the bytes of device memory that are free; 0: it cannot be told.
	Free() (int64, error)

	// Alloc returns device memory, whose content is anything. size is more than 0.
	Alloc(size int64) (Memory, error)
	// Pin returns host memory that the device copies to and from by itself. It is not
	// Go's, and does not move.
	Pin(size int64) (Pinned, error)
	// Zero, Upload, Download and Copy queue work and do not wait for it.
	Zero(dst Memory, at, size int64) error
	Upload(dst Memory, at int64, src Pinned, from, size int64) error
	Download(dst Pinned, at int64, src Memory, from, size int64) error
	Copy(dst Memory, at int64, src Memory, from, size int64) error

	// Load makes a module's kernels ready, from its source or from what was made of
	// that. A build that fails is runtime.ErrExecution with its log.
	Load(Module) error
	// Record binds the arguments of launches that will be submitted again and again.
	// Modules that they name were loaded.
	Record([]Command) (Sequence, error)

	// Mark returns an event that comes when all that was queued before has ended.
	Mark() (Mark, error)
	// Flush hands what was queued to the device.
	Flush() error
	// Sync waits for all that was queued.
	Sync() error
	Close() error
}

// Limits are what the kernels must know of a device.
type Limits struct {
	Group   int   // work-items of a group
	Local   int64 // bytes of local memory that a group may have
	Units   int   // processors that run groups side by side
	Tensor  bool  // it has the matrix instructions of sm_80 (mma.sync, cp.async), and the kernels may use them
	Shuffle bool  // 32 neighbours of a group exchange registers
}

// Memory is a stretch of device memory.
type Memory interface {
	Size() int64
	Close() error
}

// Pinned is host memory that a driver pinned.
type Pinned interface {
	Memory
	Bytes() []byte
}

// Module is a source of kernels.
type Module struct {
	Name   string
	Source string // with dialect.h in front
}

// Command is one launch: of a kernel, or of a product that the driver has a library for.
type Command struct {
	Module string // empty: Product
	Kernel string
	Groups [3]int // in each direction, at least 1
	Size   int    // work-items of a group, all in the first direction
	Args   []Arg
	Node   string // whom it serves, for messages

	Product *Product // unless nil: Args are A, W, bias, residual, y and the workspace
}

// Product is y = alpha·A·Wᵀ + bias + residual for A of M rows and W of N rows, both of K
// numbers, row by row without gaps. All are of one type; sums are of float32 and rounded
// once. The bias is one row for all rows.
type Product struct {
	M, N, K       int
	DType         graph.DType // Float32, Float16 or BFloat16
	Biased, Added bool        // there is a bias, a residual
	Alpha         float32
}

// Multiplier is a driver with a library that multiplies large matrices.
type Multiplier interface {
	// Multiplies reports whether the library takes a product, and how many bytes of
	// workspace it wants for that. It is asked where a launch is recorded.
	Multiplies(Product) (workspace int64, ok bool, err error)
}

// Arg is one argument: device memory, or a value.
type Arg struct {
	Memory Memory // nil: Value, or no memory at all if that is empty
	Offset int64  // a multiple of the device's alignment
	Bytes  int64  // that the kernel may touch
	Value  []byte // as the kernel's parameter lies in memory
}

// Sequence is launches with their arguments bound. Submit queues them all.
type Sequence interface {
	Submit() error
	Close() error
}

// Mark is a point in the queue. Its methods may be called by any goroutine, outside
// Begin and End.
type Mark interface {
	// Wait returns when the queue has come here, with the error of what failed before.
	Wait() error
	// Done tells without waiting.
	Done() (bool, error)
	// Time is when, on the host's clock; ok is false where that is not measured.
	Time() (t time.Time, ok bool)
	Close() error
}
