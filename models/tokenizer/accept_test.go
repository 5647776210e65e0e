//go:build accept

package tokenizer

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// TestAccept encodes all reference strings under the folder that SHARED names, and
// measures speed.
func TestAccept(t *testing.T) {
	dir := filepath.Join(os.Getenv("SHARED"), "qwen2.5-tokenizer")
	tok, err := Load(dir, "")
	if err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(filepath.Join(dir, "cases.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	same, count := 0, 0
	var short strings.Builder // without the cases that are there to be slow
	lines(t, data, func(c textCase) {
		count++
		if slices.Equal(encode(t, tok, c.Text), c.IDs) {
			same++
		}
		if len(c.IDs) < 200 {
			short.WriteString(c.Text)
		}
	})
	row(t, same == count && count == 3000, "tokenizer, reference strings", "3000 of 3000", "%d of %d", same, count)

	made, err := Tables(filepath.Join(dir, JSONName))
	if err != nil {
		t.Fatal(err)
	}
	packed, _, err := parseTables(made)
	if err != nil {
		t.Fatal(err)
	}
	same = 0
	lines(t, data, func(c textCase) {
		if slices.Equal(encode(t, packed, c.Text), c.IDs) && packed.Decode(c.IDs, false) == tok.Decode(c.IDs, false) {
			same++
		}
	})
	row(t, same == count && len(made) <= 8<<20, "tokenizer, the same by a package's tables", "3000 of 3000, ≤ 8 MiB", "%d of %d, %.1f MiB", same, count, float64(len(made))/(1<<20))

	repeat := fastest(t, tok, strings.Repeat("a", 200_000))
	row(t, repeat <= 300*time.Millisecond, "tokenizer, 200,000 × \"a\"", "≤ 0.3 s", "%.3f s", repeat.Seconds())
	text := short.String()
	speed := float64(len(text)) / (1 << 20) / fastest(t, tok, text).Seconds()
	row(t, speed >= 2, "tokenizer, text of the reference strings", "≥ 2 MiB/s", "%.1f MiB/s", speed)
}

// fastest returns the least time of three that encoding takes.
func fastest(t *testing.T, tok *Tokenizer, text string) time.Duration {
	t.Helper()
	best := time.Hour
	for range 3 {
		start := time.Now()
		encode(t, tok, text)
		best = min(best, time.Since(start))
	}
	return best
}

// row prints a line of the report.
func row(t *testing.T, ok bool, what, wanted, format string, args ...any) {
	t.Helper()
	verdict := "yes"
	if !ok {
		verdict = "no"
		t.Fail()
	}
	t.Logf("accept: | %s | %s | "+format+" | %s |", slices.Concat([]any{what, wanted}, args, []any{verdict})...)
}
