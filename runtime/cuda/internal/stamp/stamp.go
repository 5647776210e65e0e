// Package stamp says which source PTX was made of.
package stamp

import (
	"crypto/sha256"
	"fmt"

	"mnnconv/runtime/gpu"
)

// Of is the first line of the PTX that was made of a module.
func Of(m gpu.Module) string {
	return fmt.Sprintf("// module %s of source %x\n", m.Name, sha256.Sum256([]byte(m.Source)))
}
