package disk

import (
	"bufio"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
)

// File is a file on its way to its name. Commit gives it the name; Discard, which
// does nothing then, takes it away.
type File struct {
	disk   *Disk
	f      *os.File // nil once closed
	w      *bufio.Writer
	lock   *os.File // while it is a temporary file
	target string
	temp   string // its name until Commit; empty: it has its name already

	size, behind int64 // bytes written, and of them on their way to the disk
}

// WriteFile gives path these bytes, as Create does.
func (d *Disk) WriteFile(path string, data []byte) error {
	f, err := d.Create(path)
	if err != nil {
		return err
	}
	defer f.Discard()
	if _, err := (unbuffered{f}).Write(data); err != nil {
		return failed(f.target, err)
	}
	return f.Commit()
}

// Create begins a file that will replace what is at path. It waits for another
// writer of that path. Of a link, the file that it leads to is replaced. What is
// no regular file, such as a pipe, is written to as it is.
func (d *Disk) Create(path string) (*File, error) {
	if real, err := filepath.EvalSymlinks(path); err == nil {
		path = real
	}
	f := &File{disk: d, target: path}
	err := d.before(Create, path)
	if err == nil {
		if info, there := os.Stat(path); there == nil && !info.Mode().IsRegular() {
			f.f, err = os.OpenFile(path, os.O_WRONLY, 0)
		} else {
			err = f.openTemp()
		}
	}
	if err != nil {
		return nil, failed(path, err)
	}
	return f, nil
}

// openTemp makes and locks the temporary file, or empties that of a dead owner.
func (f *File) openTemp() error {
	path := beside(f.target)
	for {
		err := f.disk.step(func() error { return f.takeTemp(path) })
		switch {
		case errors.Is(err, errLocked): // it waits for its owner
			l, err := lock(path, true)
			if err != nil && !errors.Is(err, fs.ErrNotExist) {
				return err
			}
			if err := unlock(l); err != nil {
				return err
			}
		case errors.Is(err, fs.ErrNotExist) && exists(filepath.Dir(path)): // its owner was faster
		default:
			return err
		}
	}
}

// takeTemp makes the temporary file, or takes that of a dead owner. errLocked: its
// owner lives; fs.ErrNotExist: it got its name meanwhile.
func (f *File) takeTemp(path string) error {
	w, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if errors.Is(err, fs.ErrExist) {
		w, err = openOwn(path)
	}
	if err != nil {
		return err
	}
	l, err := lock(path, false)
	switch {
	case err != nil:
	case !holds(path, w): // it got its name before the lock
		err = fs.ErrNotExist
	default:
		err = w.Truncate(0)
	}
	if err != nil {
		return errors.Join(err, w.Close(), unlock(l))
	}
	f.f, f.lock, f.temp = w, l, path
	f.disk.begin(f, temporary{path: path})
	return nil
}

func exists(path string) bool {
	_, err := os.Lstat(path)
	return err == nil
}

// largePage is how many bytes go to a file at once, from multiples of them on: Linux
// caches what is written so in pages that can be mapped as one.
const largePage = 2 << 20

// Write implements io.Writer. The bytes are buffered.
func (f *File) Write(b []byte) (int, error) {
	if f.w == nil {
		f.w = bufio.NewWriterSize(unbuffered{f}, largePage)
	}
	for n := 0; ; {
		k, err := f.w.Write(b[n:min(len(b), n+f.w.Available())])
		if n += k; err == nil && f.w.Available() == 0 {
			err = f.w.Flush()
		}
		if err != nil || n == len(b) {
			return n, failed(f.target, err)
		}
	}
}

// backlog is how many bytes are written before they are sent on to the disk. Nothing
// ends a process that waits in a sync: what that has left to do must be little.
const backlog = 32 << 20

type unbuffered struct{ *File }

func (f unbuffered) Write(b []byte) (int, error) {
	if err := f.disk.before(Write, f.target); err != nil {
		n, _ := f.f.Write(b[:len(b)/2]) // as a full disk does
		return n, err
	}
	n, err := f.f.Write(b)
	f.size += int64(n)
	if err == nil && f.size-f.behind >= backlog {
		err = writeBack(f.f, f.behind, f.size)
		f.behind = f.size
	}
	return n, err
}

// Finish brings the bytes to disk and closes the file; a second call does nothing.
func (f *File) Finish() error {
	if f.f == nil {
		return nil
	}
	var err error
	if f.w != nil {
		err = f.w.Flush()
	}
	w := f.f
	f.f = nil
	if err == nil {
		err = f.disk.before(Sync, f.target)
	}
	if info, stat := w.Stat(); err == nil && stat == nil && info.Mode().IsRegular() {
		err = w.Sync()
	}
	if err == nil {
		err = f.disk.before(Close, f.target)
	}
	return failed(f.target, errors.Join(err, w.Close()))
}

// Commit finishes the file and gives it its name, for good.
func (f *File) Commit() error {
	if err := f.Finish(); err != nil || f.temp == "" {
		return err
	}
	err := f.disk.before(Rename, f.target)
	if err == nil {
		err = f.disk.step(func() error { return os.Rename(f.temp, f.target) })
	}
	if err == nil {
		f.temp = ""
		f.disk.end(f)
		err = errors.Join(f.disk.syncDir(filepath.Dir(f.target)), unlock(f.lock))
	}
	return failed(f.target, err)
}

// Discard removes what has no name yet.
func (f *File) Discard() {
	if f == nil {
		return
	}
	if f.f != nil {
		f.f.Close()
		f.f = nil
	}
	if f.temp != "" {
		_ = f.disk.remove(temporary{path: f.temp})
		f.disk.end(f)
		_ = unlock(f.lock)
		f.temp = ""
	}
}
