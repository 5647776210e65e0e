package chat

import (
	"fmt"
	"math"
	"strings"
)

// toJSON is transformers' tojson: json.dumps with ensure_ascii=False and, unlike Jinja's own, no HTML escapes.
func toJSON(r *rendering, v any, a args) any {
	w := jsonWriter{r: r, comma: ", ", indent: -1}
	if n := a.bind("tojson", "indent")[0]; n != absent && n != nil {
		w.comma, w.indent = ",", min(max(integer(n, "tojson"), 0), 16)
	}
	w.value(v, 0)
	r.grow(w.out.Len())
	return w.out.String()
}

// jsonWriter writes as Python's json.dumps does.
type jsonWriter struct {
	r      *rendering
	out    strings.Builder
	comma  string
	indent int // blanks a level; negative: all on one line
}

func (w *jsonWriter) value(v any, level int) {
	w.r.deeper(maxNest - level)
	if w.out.Len() > maxOutput {
		halt(ErrLimit, "tojson: a text of more than %d bytes", maxOutput)
	}
	switch v := v.(type) {
	case nil:
		w.out.WriteString("null")
	case bool:
		fmt.Fprint(&w.out, v)
	case int:
		fmt.Fprint(&w.out, v)
	case float64:
		switch {
		case math.IsNaN(v):
			w.out.WriteString("NaN")
		case math.IsInf(v, 0):
			w.out.WriteString(strings.Replace(float(v), "inf", "Infinity", 1))
		default:
			w.out.WriteString(float(v))
		}
	case string:
		w.quote(v)
	case dict:
		w.all("{}", len(v), level, func(i int) {
			switch key := v[i].key.(type) {
			case string:
				w.quote(key)
			default: // a number, a truth value or none, as a text
				w.out.WriteByte('"')
				w.value(key, level+1)
				w.out.WriteByte('"')
			}
			w.out.WriteString(": ")
			w.value(v[i].value, level+1)
		})
	case list:
		w.all("[]", len(v), level, func(i int) { w.value(v[i], level+1) })
	default:
		halt(ErrMalformed, "tojson of %s", typeOf(v))
	}
}

// all writes n members between brackets.
func (w *jsonWriter) all(brackets string, n, level int, member func(i int)) {
	w.out.WriteByte(brackets[0])
	for i := range n {
		if i > 0 {
			w.out.WriteString(w.comma)
		}
		w.newline(level + 1)
		member(i)
	}
	if n > 0 {
		w.newline(level)
	}
	w.out.WriteByte(brackets[1])
}

func (w *jsonWriter) newline(level int) {
	if w.indent >= 0 {
		w.out.WriteString("\n" + strings.Repeat(" ", w.indent*level))
	}
}

func (w *jsonWriter) quote(s string) {
	w.out.WriteByte('"')
	for _, r := range s {
		switch {
		case r == '"' || r == '\\':
			w.out.WriteByte('\\')
			w.out.WriteRune(r)
		case r >= ' ':
			w.out.WriteRune(r)
		case strings.ContainsRune("\b\f\n\r\t", r):
			w.out.WriteByte('\\')
			w.out.WriteByte("btn_fr"[r-'\b'])
		default:
			fmt.Fprintf(&w.out, `\u%04x`, r)
		}
	}
	w.out.WriteByte('"')
}
