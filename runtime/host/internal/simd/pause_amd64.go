package simd

// Pause tells the processor that a loop waits for memory to change.
func Pause()
