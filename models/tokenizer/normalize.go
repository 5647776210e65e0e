package tokenizer

import (
	"slices"
	"strings"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// valid returns text with every ill-formed part replaced by one U+FFFD, as Python
// and Rust decode with replacement: a part is the longest beginning of a
// character, or a single byte (Unicode standard, section 3.9, maximal subparts).
func valid(text string) string {
	if utf8.ValidString(text) {
		return text
	}
	var b strings.Builder
	b.Grow(len(text) + len(text)/2)
	for len(text) > 0 {
		r, n := utf8.DecodeRuneInString(text)
		if r == utf8.RuneError && n == 1 {
			for n < len(text) && !utf8.FullRuneInString(text[:n+1]) {
				n++
			}
		}
		b.WriteRune(r)
		text = text[n:]
	}
	return b.String()
}

func identity(text string) string { return text }

// unicodeForm returns the normaliser to a Unicode normalisation form.
func unicodeForm(form norm.Form) func(string) string {
	// The norm package follows the Stream-Safe Text Format: it puts this joiner
	// after 30 combining marks. Hugging Face does not.
	const joiner = "\u034f"
	return func(text string) string {
		if form.IsNormalString(text) {
			return text
		}
		out := form.String(text)
		if strings.Count(out, joiner) == strings.Count(text, joiner) {
			return out
		}
		return normalizeLong(form, text)
	}
}

// normalizeLong normalises text with runs of combining marks of any length, by
// the algorithms of the Unicode standard, section 3.11.
func normalizeLong(form norm.Form, text string) string {
	decompose := form
	switch form {
	case norm.NFC:
		decompose = norm.NFD
	case norm.NFKC:
		decompose = norm.NFKD
	}
	type char struct {
		r   rune
		ccc uint8
	}
	var chars []char
	for _, r := range text {
		for _, d := range decompose.String(string(r)) {
			chars = append(chars, char{d, norm.NFD.PropertiesString(string(d)).CCC()})
		}
	}
	for i := 0; i < len(chars); i++ {
		n := 0
		for i+n < len(chars) && chars[i+n].ccc > 0 {
			n++
		}
		slices.SortStableFunc(chars[i:i+n], func(a, b char) int { return int(a.ccc) - int(b.ccc) })
		i += n
	}
	if form != decompose {
		starter, kept := -1, 0
		for _, c := range chars {
			// A character is blocked from the starter by one of its class or above between them.
			if starter >= 0 && (starter == kept-1 || chars[kept-1].ccc < c.ccc) {
				joined := []rune(norm.NFC.String(string([]rune{chars[starter].r, c.r})))
				if len(joined) == 1 {
					chars[starter].r = joined[0]
					continue
				}
			}
			if c.ccc == 0 {
				starter = kept
			}
			chars[kept] = c
			kept++
		}
		chars = chars[:kept]
	}
	var b strings.Builder
	for _, c := range chars {
		b.WriteRune(c.r)
	}
	return b.String()
}

// chain returns the normaliser that applies steps in order.
func chain(steps []func(string) string) func(string) string {
	switch len(steps) {
	case 0:
		return identity
	case 1:
		return steps[0]
	}
	return func(text string) string {
		for _, step := range steps {
			text = step(text)
		}
		return text
	}
}

// substitution returns the normaliser of an .mtok's table. The exporter writes
// what NFC or NFKC makes of each single character; where the table is that, the
// whole form is applied, as the model was trained with it. Any other table is
// applied character by character.
func substitution(table map[rune]string) func(string) string {
	// NFC changes more single characters than this in every Unicode version.
	if len(table) > 1000 {
		for _, form := range []norm.Form{norm.NFC, norm.NFKC} {
			same := true
			for r, to := range table {
				same = same && form.String(string(r)) == to
			}
			if same {
				return unicodeForm(form)
			}
		}
	}
	return func(text string) string {
		var b strings.Builder
		for _, r := range text {
			if to, ok := table[r]; ok {
				b.WriteString(to)
			} else {
				b.WriteRune(r)
			}
		}
		return b.String()
	}
}
