package tests

import (
	"fmt"
	"testing"
)

// Row prints a line of docs/accept.md, and fails the test unless what was measured is
// what is wanted.
func Row(t *testing.T, ok bool, what, wanted, format string, args ...any) {
	t.Helper()
	verdict := "yes"
	if !ok {
		verdict = "no"
		t.Fail()
	}
	t.Logf("accept: | %s | %s | %s | %s |", what, wanted, fmt.Sprintf(format, args...), verdict)
}
