package chat

import (
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"mnnconv/schemas/jsonkeys"
)

// maxFile bounds the JSON files: a tokenizer_config.json may list thousands of added tokens.
const maxFile = 16 << 20

//go:embed default.jinja
var defaultSource string

// Default is ChatML with Qwen2.5-VL's marks for pictures and videos, for model folders that carry no template. It
// renders what Qwen2.5-VL's published template renders.
func Default() *Template {
	t, err := New("default.jinja", defaultSource)
	if err != nil {
		panic("chat: " + err.Error())
	}
	return t
}

// Load reads the template of a model folder from the first of chat_template.jinja, chat_template.json and
// tokenizer_config.json that has one, the order of transformers. Without any it returns an error that wraps
// fs.ErrNotExist.
func Load(dir string) (*Template, error) {
	for _, place := range []struct {
		file string
		read func(data []byte) (string, error)
	}{
		{"chat_template.jinja", func(data []byte) (string, error) { return string(data), nil }},
		{"chat_template.json", fromJSON},
		{"tokenizer_config.json", fromJSON},
	} {
		path := filepath.Join(dir, place.file)
		data, err := readFile(path)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, err
		}
		source, err := place.read(data)
		switch {
		case err != nil:
			return nil, fmt.Errorf("%s: %w", path, err)
		case source != "":
			return New(path, source)
		}
	}
	return nil, fmt.Errorf("%s: no chat template in chat_template.jinja, chat_template.json or tokenizer_config.json: %w", dir, fs.ErrNotExist)
}

func readFile(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err == nil && len(data) > maxFile {
		err = fmt.Errorf("%s: %w: more than %d bytes", path, ErrLimit, maxFile)
	}
	return data, err
}

// fromJSON takes the member chat_template: a string, or a list of named templates of which "default" is meant, or the
// only one. It is empty where the file has none.
func fromJSON(data []byte) (string, error) {
	var file struct {
		Template json.RawMessage `json:"chat_template"`
	}
	if err := jsonkeys.Unmarshal(data, &file, false); err != nil {
		return "", fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	var one *string
	if len(file.Template) == 0 || json.Unmarshal(file.Template, &one) == nil {
		if one == nil {
			return "", nil
		}
		return *one, nil
	}
	var many []struct{ Name, Template string }
	if err := json.Unmarshal(file.Template, &many); err != nil {
		return "", fmt.Errorf("%w: chat_template is neither a string nor a list of {name, template}", ErrMalformed)
	}
	var names []string
	for _, t := range many {
		if t.Name == "default" || len(many) == 1 {
			return t.Template, nil
		}
		names = append(names, t.Name)
	}
	return "", fmt.Errorf("%w: chat_template lists %q, none named \"default\"", ErrUnsupported, names)
}

// New reads a template carried elsewhere, such as in MNN's tokenizer file. name stands for it in messages.
func New(name, source string) (*Template, error) {
	t := &Template{name: name, most: maxTime, text: strings.NewReplacer("\r\n", "\n", "\r", "\n").Replace(source)}
	if len(t.text) > maxSource {
		return nil, t.fail(0, ErrLimit, fmt.Sprintf("%d bytes, the limit is %d", len(t.text), maxSource))
	}
	if err := t.parse(); err != nil {
		return nil, err
	}
	return t, nil
}

func (t *Template) parse() (err error) {
	p := parser{lexer: lexer{source: strings.TrimSuffix(t.text, "\n")}} // Jinja drops one line end at the end
	defer t.caught(&p.at, &err)
	t.body = p.all()
	return nil
}
