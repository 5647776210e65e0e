//go:build unix

package disk

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// locks: files and folders can be locked, so a temporary one that is not is stale.
const locks = true

// lock opens a file or folder and locks it until it is closed or the process ends.
// Unless it waits, errLocked says that another one holds it.
func lock(path string, wait bool) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|unix.O_NOFOLLOW, 0)
	if err != nil {
		return nil, err
	}
	how := unix.LOCK_EX
	if !wait {
		how |= unix.LOCK_NB
	}
	for {
		err = unix.Flock(int(f.Fd()), how)
		if !errors.Is(err, unix.EINTR) {
			break
		}
	}
	if errors.Is(err, unix.EWOULDBLOCK) {
		err = errLocked
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

// unlock gives a lock back; nil is none.
func unlock(f *os.File) error {
	if f == nil {
		return nil
	}
	return f.Close()
}

// openOwn opens a temporary file that was left, if this user made it: in a folder
// of many users, somebody else may have put something there under its name.
func openOwn(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_WRONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0)
	if errors.Is(err, unix.ELOOP) {
		return nil, notOwn(path)
	}
	if err != nil {
		return nil, err
	}
	var s unix.Stat_t
	if err := unix.Fstat(int(f.Fd()), &s); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	if s.Mode&unix.S_IFMT != unix.S_IFREG || int(s.Uid) != os.Geteuid() || s.Nlink > 1 {
		return nil, errors.Join(notOwn(path), f.Close())
	}
	return f, nil
}

func notOwn(path string) error {
	return fmt.Errorf("%s is in the way and was not made by this program: remove it", path)
}
