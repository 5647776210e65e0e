package simd

import (
	"syscall"

	"golang.org/x/sys/cpu"
)

// hasTiles tells whether the processor has tiles for bfloat16 and the kernel lets this
// process use them: it keeps 8 KiB more for each thread that does.
func hasTiles() bool {
	const request, tileData = 0x1023, 18 // ARCH_REQ_XCOMP_PERM, XFEATURE_XTILE_DATA
	if !cpu.X86.HasAMXTile || !cpu.X86.HasAMXBF16 {
		return false
	}
	_, _, errno := syscall.RawSyscall(syscall.SYS_ARCH_PRCTL, request, tileData, 0)
	return errno == 0
}
