package tokenizer

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"
)

// parseMtok reads a tokenizer.mtok as MNN's transformers/llm/export/utils/
// tokenizer.py writes it from a tokenizer.json: three lines of text, then
// little-endian binary. The file lacks the flags of added tokens that concern
// words and normalisation, and some settings of the model.
func parseMtok(data []byte) (*Tokenizer, error) {
	r := &mtokReader{data: data}
	special, stops := r.header()
	normalize := chain(r.normalizer(nil, 0))
	stages := r.preTokenizer(nil, 0)
	if kind := r.u8("model"); kind != 0 {
		r.unsupported("model", kind, "BPE", "WordPiece", "Unigram")
	}
	tokens := r.count(r.u32("vocabulary"), 6, "tokens")
	byteFallback, byteLevel := r.u8("byte_fallback"), r.u8("byte_level")
	merges := r.count(r.u32("merges"), 12, "merges")
	if byteLevel == 0 && r.err == nil {
		r.err = checkByteLevel(stages)
	}
	entries := make([]entry, tokens)
	for i := range entries {
		entries[i] = entry{r.str("token"), r.id("token")}
	}
	triples := r.take(12*merges, "merges")
	if kind := r.u8("decoder"); kind != 0 {
		r.unsupported("decoder", kind, "ByteLevel", "ByteFallback", "Metaspace", "WordPiece", "Fuse", "Replace", "Strip", "Sequence")
	}
	added := r.added()
	var template []byte
	if r.err == nil && r.at < len(data) { // old exporters end here
		template = r.take(int(r.u32("chat template")), "chat template")
	}
	if r.err != nil {
		return nil, r.err
	}
	t := &Tokenizer{normalize: normalize, stages: stages, template: string(template), stops: stops}
	if err := checkAdded(added); err != nil {
		return nil, err
	}
	v, ids, err := newVocabulary(entries, added)
	if err != nil {
		return nil, err
	}
	t.vocabulary = v
	for _, id := range special {
		if t.has(id) {
			t.special[id] = true
		}
	}
	t.setAdded(added)
	t.bpe = newBPE(&t.vocabulary, byteFallback != 0)
	maker, rules := ruleMaker{&t.vocabulary, ids}, make([]rule, merges)
	for i := range rules {
		pair := numbers(triples[12*i:])
		left, right, rank := pair.at(0), pair.at(1), pair.at(2)
		if !t.has(left) || !t.has(right) || rank < 0 || rank == never {
			return nil, malformed("merge %d of %d: ids %d and %d, rank %d: want ids of tokens", i, merges, uint32(left), uint32(right), uint32(rank))
		}
		if rules[i], err = maker.rule(left, right, int(rank)); err != nil {
			return nil, fmt.Errorf("merge %d of %d: %w", i, merges, err)
		}
	}
	t.bpe.merges = maker.learned(rules)
	return t, nil
}

// mtokReader reads on until the first error, and gives zeros after it.
type mtokReader struct {
	data []byte
	at   int
	err  error
}

func (r *mtokReader) fail(format string, args ...any) {
	if r.err == nil {
		r.err = malformed("byte %d: %w", r.at, fmt.Errorf(format, args...))
	}
}

func (r *mtokReader) unsupported(what string, kind uint8, names ...string) {
	name := strconv.Itoa(int(kind))
	if int(kind) < len(names) && names[kind] != "" {
		name = names[kind]
	}
	if r.err == nil {
		r.err = unsupported("byte %d: %s %s", r.at-1, what, name)
	}
}

// take returns the next n bytes of the file.
func (r *mtokReader) take(n int, what string) []byte {
	if r.err == nil && n > len(r.data)-r.at {
		r.fail("%s: want %d bytes, found the last %d of the file", what, n, len(r.data)-r.at)
	}
	if r.err != nil {
		return nil
	}
	r.at += n
	return r.data[r.at-n : r.at]
}

func (r *mtokReader) u8(what string) uint8 {
	if b := r.take(1, what); b != nil {
		return b[0]
	}
	return 0
}

func (r *mtokReader) u32(what string) uint32 {
	if b := r.take(4, what); b != nil {
		return binary.LittleEndian.Uint32(b)
	}
	return 0
}

func (r *mtokReader) id(what string) int64 {
	id := r.u32(what)
	if id >= maxID {
		r.fail("%s: id %d, want 0 to %d", what, id, maxID-1)
		return 0
	}
	return int64(id)
}

func (r *mtokReader) str(what string) string {
	n := 0
	if b := r.take(2, what); b != nil {
		n = int(binary.LittleEndian.Uint16(b))
	}
	return string(r.take(n, what))
}

// count returns n if the rest of the file can hold n items of at least size bytes.
func (r *mtokReader) count(n uint32, size int, what string) int {
	if r.err == nil && int64(n)*int64(size) > int64(len(r.data)-r.at) {
		r.fail("%d %s in %d bytes", n, what, len(r.data)-r.at)
	}
	if r.err != nil {
		return 0
	}
	return int(n)
}

// header reads the lines of text: the magic number and kind, three counts, and as
// many ids: special tokens, stop tokens, and a prefix that templates supply now.
func (r *mtokReader) header() (special, stops []int32) {
	if line := r.line(); r.err == nil && (len(line) != 2 || line[0] != 430) {
		r.fail("want the line \"430 4\"")
	} else if r.err == nil && line[1] != 4 {
		r.err = unsupported("kind %d of MNN tokenizer, want 4 (.mtok)", line[1])
	}
	counts, ids := r.line(), r.line()
	if r.err == nil && (len(counts) != 3 || int64(len(ids)) != counts[0]+counts[1]+counts[2]) {
		r.fail("want three counts and as many ids, found %d counts and %d ids", len(counts), len(ids))
	}
	for i, id := range ids {
		switch {
		case r.err != nil:
			return nil, nil
		case id >= maxID:
			r.fail("id %d, want 0 to %d", id, maxID-1)
		case int64(i) < counts[0]:
			special = append(special, int32(id))
		case int64(i) < counts[0]+counts[1]:
			stops = append(stops, int32(id))
		}
	}
	return special, stops
}

// line reads a line of numbers.
func (r *mtokReader) line() (numbers []int64) {
	if r.err != nil {
		return nil
	}
	text, _, ok := bytes.Cut(r.data[r.at:], []byte("\n"))
	if !ok {
		r.fail("want a line of numbers")
	}
	for field := range strings.FieldsSeq(string(text)) {
		n, err := strconv.ParseUint(field, 10, 31)
		if err != nil {
			r.fail("want a line of numbers, found %.20q", field)
			return nil
		}
		numbers = append(numbers, int64(n))
	}
	r.at += len(text) + 1
	return numbers
}

func (r *mtokReader) normalizer(steps []func(string) string, depth int) []func(string) string {
	if depth > maxDepth || len(steps) > maxStages {
		r.fail("normalizer with more than %d steps or %d levels", maxStages, maxDepth)
	}
	switch kind := r.u8("normalizer"); kind {
	case 0:
	case 4:
		for range r.count(r.u32("normalizer"), 1, "normalizers") {
			if steps = r.normalizer(steps, depth+1); r.err != nil {
				break
			}
		}
	case 6:
		n := r.count(r.u32("normalizer"), 6, "table entries")
		table := make(map[rune]string, n)
		for range n {
			from, to := r.u32("normalizer table"), r.str("normalizer table")
			if from > utf8.MaxRune || !utf8.ValidString(to) {
				r.fail("normalizer table: U+%04X to %.60q is not Unicode", from, to)
			}
			if r.err != nil {
				break
			}
			table[rune(from)] = to
		}
		steps = append(steps, substitution(table))
	default:
		r.unsupported("normalizer", kind, "", "NFKC", "Prepend", "Replace", "", "Bert", "", "Bert", "Strip")
	}
	return steps
}

func (r *mtokReader) preTokenizer(stages []stage, depth int) []stage {
	if depth > maxDepth || len(stages) > maxStages {
		r.fail("pre-tokenizer with more than %d steps or %d levels", maxStages, maxDepth)
	}
	var s stage
	var err error
	switch kind := r.u8("pre-tokenizer"); kind {
	case 0:
		return stages
	case 1:
		s, err = byteLevelStage(false, r.u8("ByteLevel") != 0)
	case 2:
		s, err = digitsStage(r.u8("Digits") != 0)
	case 4:
		pattern, invert, behavior := r.str("Split"), r.u8("Split") != 0, r.u8("Split")
		names := []string{"Isolated", "Removed", "MergedWithPrevious"}
		if int(behavior) >= len(names) {
			r.fail("Split with behavior %d", behavior)
		}
		if r.err == nil {
			s, err = splitStage(pattern, names[behavior], invert)
		}
	case 6:
		for range r.count(r.u32("pre-tokenizer"), 1, "pre-tokenizers") {
			if stages = r.preTokenizer(stages, depth+1); r.err != nil {
				break
			}
		}
		return stages
	default:
		r.unsupported("pre-tokenizer", kind, "", "", "", "Metaspace", "", "Bert")
	}
	if err != nil && r.err == nil {
		r.err = fmt.Errorf("byte %d: pre-tokenizer: %w", r.at, err)
	}
	return append(stages, s)
}

func (r *mtokReader) added() []addedToken {
	added := make([]addedToken, r.count(r.u32("added tokens"), 9, "added tokens"))
	for i := range added {
		added[i].id = r.id("added token")
		added[i].special = r.u8("added token") != 0
		added[i].lstrip = r.u8("added token") != 0
		added[i].rstrip = r.u8("added token") != 0
		added[i].content = r.str("added token")
	}
	return added
}
