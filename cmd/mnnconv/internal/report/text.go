package report

import (
	"html"
	"strings"
	"unicode"
	"unicode/utf8"
)

// mostText is how much of a name is shown, in characters. Names come from files
// that are not to be trusted, and may be as long as those.
const mostText = 400

// visible makes text fit to be shown: nothing in it moves, hides or reorders what
// stands beside it.
func visible(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return utf8.RuneError
	}, s)
}

// plain is visible text that is short.
func plain(s string) string { return clip(s, mostText) }

// escape writes text for HTML and XML, between tags and within quotes.
func escape(s string) string { return html.EscapeString(plain(s)) }

// escapeAll writes text of any length as escape does.
func escapeAll(s string) string { return html.EscapeString(visible(s)) }

// clip is visible text of n characters at most.
func clip(s string, n int) string {
	at := 0
	for i := range s {
		if at++; at == n+1 {
			return visible(s[:i]) + "…"
		}
	}
	return visible(s)
}
