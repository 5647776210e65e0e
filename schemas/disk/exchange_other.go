//go:build !linux && !darwin

package disk

import (
	"errors"
	"os"
)

// exchange puts a in b's place and b in a's. Between its steps b is not there.
func exchange(a, b string) error {
	aside := a + ".old"
	if err := os.Rename(b, aside); err != nil {
		return err
	}
	if err := os.Rename(a, b); err != nil {
		return errors.Join(err, os.Rename(aside, b))
	}
	return os.Rename(aside, a)
}
