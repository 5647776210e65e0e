package disk

import (
	"os"

	"golang.org/x/sys/unix"
)

// leases: alone can tell.
const leases = true

// alone reports whether nobody else has the file open or mapped: only then Linux gives
// its write lease, which goes back when f is closed. Who opens it meanwhile waits.
func alone(f *os.File) bool {
	_, err := unix.FcntlInt(f.Fd(), unix.F_SETLEASE, unix.F_WRLCK)
	return err == nil
}
