package tokenizer

import (
	"encoding/json"
	"math"
	"strings"
)

// cursor walks JSON that is known to be valid, without building values: the
// vocabulary and the merges are most of a tokenizer.json.
type cursor struct {
	json string
	at   int
}

// next returns the byte that the next value or closing bracket begins with, 0 at
// the end. It does not move past it.
func (c *cursor) next() byte {
	for ; c.at < len(c.json); c.at++ {
		switch b := c.json[c.at]; b {
		case ' ', '\t', '\r', '\n', ',', ':':
		default:
			return b
		}
	}
	return 0
}

// enter moves past an opening bracket, if the next byte is one.
func (c *cursor) enter(bracket byte) bool {
	if c.next() != bracket {
		return false
	}
	c.at++
	return true
}

// text moves past a string and returns it; ok is false if something else follows.
func (c *cursor) text() (text string, ok bool) {
	if c.next() != '"' {
		return "", false
	}
	start, escaped := c.at, false
	for c.at++; c.json[c.at] != '"'; c.at++ {
		if c.json[c.at] == '\\' {
			c.at++
			escaped = true
		}
	}
	c.at++
	if !escaped {
		return c.json[start+1 : c.at-1], true
	}
	var unescaped string
	err := json.Unmarshal([]byte(c.json[start:c.at]), &unescaped)
	return unescaped, err == nil
}

// integer moves past a number without sign, fraction or exponent, up to 2³¹-1.
func (c *cursor) integer() (n int64, ok bool) {
	c.next()
	start := c.at
	for ; c.at < len(c.json) && c.json[c.at]-'0' <= 9; c.at++ {
		if n = 10*n + int64(c.json[c.at]-'0'); n > math.MaxInt32 {
			return 0, false
		}
	}
	after := c.at == len(c.json) || strings.IndexByte(" \t\r\n,}]", c.json[c.at]) >= 0
	return n, c.at > start && after
}

// jsonVocab reads the tokens of the model: an object of ids by spelling.
func jsonVocab(raw json.RawMessage) ([]entry, error) {
	c := cursor{json: string(raw)}
	if !c.enter('{') {
		return nil, malformed("want an object of ids by token")
	}
	entries := make([]entry, 0, len(raw)/16)
	for c.next() != '}' {
		token, _ := c.text()
		id, ok := c.integer()
		if !ok || id >= maxID {
			return nil, malformed("token %.60q: want an id from 0 to %d", token, maxID-1)
		}
		entries = append(entries, entry{token, id})
	}
	return entries, nil
}

// jsonMerges reads the merges: an array of strings "left right" or, as newer
// files have it, of arrays ["left", "right"].
func jsonMerges(raw json.RawMessage) (rules []spelledRule, err error) {
	c := cursor{json: string(raw)}
	if !c.enter('[') {
		return nil, malformed(": want an array")
	}
	rules = make([]spelledRule, 0, len(raw)/16)
	for c.next() != ']' {
		var r spelledRule
		var ok bool
		if c.enter('[') {
			r.left, _ = c.text()
			r.right, ok = c.text()
			ok = ok && c.enter(']')
		} else if r.left, ok = c.text(); ok {
			r.left, r.right, ok = strings.Cut(r.left, " ")
		}
		if !ok {
			return nil, malformed(`[%d]: want "left right" or ["left", "right"]`, len(rules))
		}
		rules = append(rules, r)
	}
	return rules, nil
}
