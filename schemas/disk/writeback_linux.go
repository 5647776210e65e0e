package disk

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

// writeBack has the system begin to bring bytes from..to of a file to disk, and waits
// for as many before them. What is no file, or a system that cannot, is left alone.
func writeBack(f *os.File, from, to int64) error {
	n := to - from
	var err error
	if from >= n {
		err = unix.SyncFileRange(int(f.Fd()), from-n, n, unix.SYNC_FILE_RANGE_WAIT_BEFORE|unix.SYNC_FILE_RANGE_WRITE|unix.SYNC_FILE_RANGE_WAIT_AFTER)
	}
	if err == nil {
		err = unix.SyncFileRange(int(f.Fd()), from, n, unix.SYNC_FILE_RANGE_WRITE)
	}
	if errors.Is(err, unix.ESPIPE) || errors.Is(err, unix.EINVAL) || errors.Is(err, unix.ENOSYS) {
		return nil
	}
	return err
}
