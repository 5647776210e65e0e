// Package tokenizer turns text into token ids and back with the byte-level BPE
// tokenizers of Hugging Face (tokenizer.json) and of MNN (tokenizer.mtok). It
// knows nothing of a particular model.
//
// Text takes the way it takes in Hugging Face's tokenizers library: added tokens
// are cut out, what lies between them is normalised and split into words, and
// each word's bytes are merged in the order of the merge list. Ids equal that
// library's, without its post-processor (no template adds tokens here). One
// difference is known: normalisation follows the Unicode version of x/text, while
// Hugging Face's tables end with Unicode 9 and leave combining marks added since
// then out of canonical order.
//
// Text of two kinds, a chat template's own and a user's, is kept apart by
// [Tokenizer.Guard] and [Tokenizer.EncodeGuarded].
package tokenizer

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
)

var (
	// ErrMalformed marks a tokenizer file that contradicts its format or itself.
	ErrMalformed = errors.New("malformed tokenizer")
	// ErrUnsupported marks a tokenizer that is sound, but not a byte-level BPE that
	// this package can follow exactly.
	ErrUnsupported = errors.New("unsupported tokenizer")
)

// Limits on what is read. Real files stay far below them.
const (
	maxFile     = 256 << 20 // bytes of a tokenizer file
	maxID       = 1 << 24   // ids are below
	maxSpelling = 1 << 10   // bytes of an added token
	maxDepth    = 8         // of sequences in sequences
	maxStages   = 64        // normalisers or pre-tokenisers in all
	maxPattern  = 1 << 16   // bytes of a split pattern
)

// Tokenizer is one loaded tokenizer. It never changes after loading and may be
// used by any number of goroutines at once.
type Tokenizer struct {
	vocabulary
	normalize  func(string) string
	stages     []stage
	bpe        bpe
	exact      spellings // added tokens sought in the text as it is
	normalized spellings // added tokens sought after normalisation
	controls   []string  // what Guard breaks: spellings of both, white space trimmed
	opening    spellings // the same, for search
	template   string
	stops      []int32
}

// Load reads the tokenizer of a model folder: its tokenizer.json, by the tables of
// it where a package has them, or, where there is none, its tokenizer.mtok. The .mtok
// comes second because its normaliser is an excerpt of the original's. A folder with
// neither gives an error that wraps [fs.ErrNotExist]. sum is the SHA-256 of the
// tokenizer.json in hexadecimal, which is computed if it is "".
func Load(dir, sum string) (*Tokenizer, error) {
	t, err := loadTables(dir, sum)
	if t != nil || errors.Is(err, ErrMalformed) || errors.Is(err, ErrUnsupported) {
		return t, err
	}
	// Without tables the file that they are made of does.
	for _, name := range []string{JSONName, mtokName} {
		t, err := LoadFile(filepath.Join(dir, name))
		if !errors.Is(err, fs.ErrNotExist) {
			return t, err
		}
	}
	return nil, fmt.Errorf("%s: no tokenizer: looked for %s and %s: %w", dir, JSONName, mtokName, fs.ErrNotExist)
}

// LoadFile reads one tokenizer file: MNN's where the name ends in .mtok, else
// Hugging Face's JSON. Errors name the file and wrap [ErrMalformed],
// [ErrUnsupported] or the file system's own error.
func LoadFile(path string) (*Tokenizer, error) {
	data, err := readFile(path)
	if err != nil {
		return nil, err
	}
	parse := parseJSON
	if filepath.Ext(path) == ".mtok" {
		parse = parseMtok
	}
	t, err := parse(data)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return t, nil
}

// readFile reads a file of bounded size.
func readFile(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if info.Size() > maxFile {
		return nil, fmt.Errorf("%s: %d bytes, more than %d: %w", path, info.Size(), maxFile, ErrMalformed)
	}
	data := make([]byte, info.Size())
	n, err := io.ReadFull(f, data) // of a file that changes meanwhile a part, which is found to be malformed
	if err != nil && !errors.Is(err, io.ErrUnexpectedEOF) && !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return data[:n], nil
}

func malformed(format string, args ...any) error {
	return fmt.Errorf(format+": %w", append(args, ErrMalformed)...)
}

func unsupported(format string, args ...any) error {
	return fmt.Errorf(format+": %w", append(args, ErrUnsupported)...)
}

// ChatTemplate returns the Jinja template that a .mtok carries; it is empty for a
// tokenizer.json, whose template lies in a file of its own.
func (t *Tokenizer) ChatTemplate() string { return t.template }

// StopIDs returns the ids at which generation ends according to a .mtok, nil for
// a tokenizer.json. The slice must not be changed.
func (t *Tokenizer) StopIDs() []int32 { return t.stops }
