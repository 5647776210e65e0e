package serve

import (
	"errors"
	"testing"

	"mnnconv/models"
)

// TestStopper: a stop string is found however it is cut into pieces, and nothing of
// it, nor of what comes after, is passed on.
func TestStopper(t *testing.T) {
	for _, c := range []struct {
		stops      []string
		text, want string
		stopped    bool
	}{
		{nil, "abcabc", "abcabc", false},
		{[]string{"ca"}, "abcabc", "ab", true},
		{[]string{"cab", "bc"}, "abcabc", "a", true},
		{[]string{"aab"}, "aaab", "a", true},
		{[]string{"abcabd"}, "abcabc", "abcabc", false},
		{[]string{"abcabd"}, "abcabcabd", "abc", true},
		{[]string{"c"}, "c", "", true},
		{[]string{"é"}, "caféx", "caf", true},
	} {
		for size := 1; size <= len(c.text); size++ {
			got := ""
			s := stopper{stops: c.stops, say: func(text string) error { got += text; return nil }}
			var err error
			for rest := c.text; rest != "" && err == nil; {
				n := min(size, len(rest))
				err = s.push(rest[:n])
				rest = rest[n:]
			}
			if err == nil {
				err = s.flush()
			}
			if got != c.want || s.stopped != c.stopped || c.stopped != errors.Is(err, models.ErrEnough) {
				t.Errorf("stops %q in %q by %d bytes: %q %v %v, want %q %v", c.stops, c.text, size, got, s.stopped, err, c.want, c.stopped)
			}
		}
	}
}
