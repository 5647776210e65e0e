package opencl

import (
	"crypto/sha256"
	"encoding/hex"
	"os"
	"path/filepath"
	goruntime "runtime"

	"mnnconv/runtime/gpu"
)

// cache keeps built programs on disk. Not to find one, or one that is damaged, costs a
// build and nothing else; so does a folder that cannot be written.
type cache struct {
	folder string // empty: nothing is kept
	device string // what a binary depends on beside its source
}

func newCache(d device, folder string) (cache, error) {
	platform, err := d.api.info(getPlatformInfo, d.platform, platformVersion)
	if err != nil {
		return cache{}, err
	}
	if folder == "" {
		if user, err := os.UserCacheDir(); err == nil {
			folder = filepath.Join(user, "mnnconv", "opencl")
		}
	}
	return cache{folder, text(platform) + "\n" + d.words(deviceName) + "\n" + d.words(deviceVersion) + "\n" + d.words(driverVersion)}, nil
}

// key names a module as built with options.
func (c *cache) key(m gpu.Module, options string) string {
	h := sha256.Sum256([]byte(c.device + "\n" + options + "\n" + m.Source))
	return m.Name + "-" + hex.EncodeToString(h[:16])
}

// read returns a binary, or nil. It stands behind its own hash.
func (c *cache) read(key string) []byte {
	if c.folder == "" {
		return nil
	}
	f := filepath.Join(c.folder, key)
	if info, err := os.Stat(f); err != nil || !info.Mode().IsRegular() || info.Size() > maxInfo {
		return nil
	}
	b, err := os.ReadFile(f)
	if err != nil || len(b) <= sha256.Size || sha256.Sum256(b[sha256.Size:]) != [sha256.Size]byte(b) {
		return nil
	}
	return b[sha256.Size:]
}

// write keeps a binary, atomically.
func (c *cache) write(key string, binary []byte) {
	if c.folder == "" || os.MkdirAll(c.folder, 0o755) != nil {
		return
	}
	f, err := os.CreateTemp(c.folder, ".new-*")
	if err != nil {
		return
	}
	h := sha256.Sum256(binary)
	_, err = f.Write(append(h[:], binary...))
	if closed := f.Close(); err == nil {
		err = closed
	}
	if err == nil {
		err = os.Rename(f.Name(), filepath.Join(c.folder, key))
	}
	if err != nil {
		_ = os.Remove(f.Name()) // what is left of it is no harm
	}
}

// keep keeps bytes alive whose address lies in memory that C reads.
func keep(b []byte) { goruntime.KeepAlive(b) }
