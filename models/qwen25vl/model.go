// Package qwen25vl knows Qwen2.5-VL: how exporters write it, what its inputs
// mean, how pictures and words become tokens, and how an answer is generated.
// Everything else in the module sees graphs.
//
// What flows in: a model folder of any known exporter family. What flows out: one
// graph per phase — encode (pixels and indexes to image rows) and extend (tokens
// after those in the state to logits) — and, over executors of these graphs, a
// [Session] that answers questions.
package qwen25vl

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"

	"mnnconv/graph"
	"mnnconv/models"
	"mnnconv/models/chat"
	"mnnconv/models/generate"
	"mnnconv/models/picture"
	"mnnconv/models/tokenizer"
	"mnnconv/schemas/pack"
)

// Kind is Qwen2.5-VL.
var Kind = models.Kind{
	Name: "qwen2.5-vl",
	Load: func(dir string, o models.Options) (models.Model, error) { return Load(dir, o) },
	Open: func(p *pack.Opened, o models.Options) (models.Model, error) { return Open(p, o) },
}

// Model is a loaded model folder.
type Model struct {
	Dir       string
	Family    string
	Config    *Config
	Tokenizer *tokenizer.Tokenizer
	Template  *chat.Template
	Pictures  picture.Config
	Generate  generate.Config
	Notes     []string // what a user should know of how the folder was read

	encode    *encode // nil without a vision tower
	extend    *extend // nil without a decoder
	batchable bool    // though extend takes one sequence a run
	wordless  error   // why there is no tokenizer
	wishes    []models.Wish
	files     io.Closer // what the graphs' weights are mapped from
	stages    []models.Stage
}

// Load reads a model folder and raises its graphs. A folder may hold a decoder or a
// vision tower alone. The model owns mapped files: close it last.
func Load(dir string, o models.Options) (*Model, error) {
	cfg, err := readConfig(dir)
	if err != nil {
		return nil, err
	}
	f, err := openFolder(dir, o.ONNX)
	if err != nil {
		return nil, err
	}
	m := &Model{Dir: dir, Config: cfg, files: f}
	if err := m.load(f, o); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return m, nil
}

func (m *Model) load(f *folder, o models.Options) error {
	p, err := f.recognise()
	if err != nil {
		return err
	}
	m.Family = p.family
	m.Notes = append(m.Notes, p.notes...)
	m.stages = p.stages()
	if m.wishes, err = readWishes(m.Dir, p.vision != nil); err != nil {
		return err
	}
	if p.decoder != nil {
		if p.vision != nil {
			if err := m.Config.complete(); err != nil {
				return err
			}
		}
		if err := m.words(""); err != nil {
			return err
		}
	}
	if err := m.pictures(o, p.vision != nil); err != nil {
		return err
	}
	vision, decoder := "", ""
	if p.vision != nil {
		vision = p.vision.file.path
		if m.encode, err = buildEncode(p.vision, m.Config, o.Table); err != nil {
			return fmt.Errorf("%s: %w", m.Dir, err)
		}
		nameVision(m.encode.graph)
	}
	if p.decoder != nil {
		decoder = p.decoder.file.path
		if o.Batchable && !o.Batched {
			restore := p.spare()
			m.batchable = buildBatched(p, o.Table) != nil
			restore()
		}
		if m.extend, err = buildExtend(p, o.Batched, o.Table); err != nil {
			return fmt.Errorf("%s: %w", m.Dir, err)
		}
		nameDecoder(m.extend.graph)
	}
	if err := m.retype(o.Types, o.Table); err != nil {
		return fmt.Errorf("%s: %w", m.Dir, err)
	}
	if m.extend != nil {
		if err := m.extend.store(o.State, o.Table); err != nil {
			return fmt.Errorf("%s: %w", m.Dir, err)
		}
		if err := m.extend.draft(o.Lookup, o.Table); err != nil {
			return fmt.Errorf("%s: %w", m.Dir, err)
		}
	}
	return m.agree(vision, decoder)
}

// agree checks that vision tower, decoder and tokenizer are of one model. The
// names of the first two are for messages.
func (m *Model) agree(vision, decoder string) error {
	if m.extend == nil {
		return nil
	}
	if m.encode != nil && m.encode.width != m.extend.width {
		return fmt.Errorf("%s: %w: %s makes rows of %d numbers, %s takes %d: the files are of different models", m.Dir, graph.ErrType,
			vision, m.encode.width, decoder, m.extend.width)
	}
	if m.Tokenizer == nil {
		return nil
	}
	if n := m.Tokenizer.Size(); int64(n) > m.extend.vocabulary {
		return fmt.Errorf("%s: %w: the tokenizer has ids up to %d, the decoder's vocabulary has %d: the files are of different models",
			m.Dir, graph.ErrType, n-1, m.extend.vocabulary)
	}
	return nil
}

// Embeds reports whether the model looks token ids up itself; one that does not
// runs over [Prepared] embeddings.
func (m *Model) Embeds() bool {
	return m.extend != nil && named(m.extend.graph.Inputs, inEmbeds) == nil
}

// generates is an error where the folder lacks what turning token ids into others
// takes.
func (m *Model) generates() error {
	switch {
	case m.extend == nil:
		return fmt.Errorf("%s: %w: the folder has a vision tower alone; its decoder and embedding are needed to answer", m.Dir, ErrMissing)
	case !m.Embeds():
		return fmt.Errorf("%s: %w: the decoder takes embeddings, and nothing in the folder turns token ids into them: export the embedding too, or a decoder that takes input_ids", m.Dir, ErrMissing)
	}
	return nil
}

// answers is an error where the folder lacks what answering a question in words
// takes.
func (m *Model) answers() error {
	if err := m.generates(); err != nil {
		return err
	}
	switch {
	case m.Tokenizer == nil:
		return fmt.Errorf("%s: %w: %w", m.Dir, ErrMissing, m.wordless)
	case len(m.Generate.EOS) == 0:
		return fmt.Errorf("%s: %w: no file names a token that ends an answer (eos_token_id)", m.Dir, ErrConfig)
	}
	return nil
}

// words loads tokenizer, template and generation settings. The SHA-256 of the tokenizer.json
// is "" if nobody knows it.
func (m *Model) words(sum string) error {
	var err error
	m.Tokenizer, err = tokenizer.Load(m.Dir, sum)
	if errors.Is(err, fs.ErrNotExist) {
		m.Tokenizer, m.wordless, err = nil, err, nil
		m.Notes = append(m.Notes, "no tokenizer in the folder (tokenizer.json, tokenizer.mtok): the model runs over token ids, and cannot read words")
	}
	if err != nil {
		return err
	}
	m.Template, err = chat.Load(m.Dir)
	if errors.Is(err, fs.ErrNotExist) {
		text := ""
		if m.Tokenizer != nil {
			text = m.Tokenizer.ChatTemplate()
		}
		if text != "" {
			m.Template, err = chat.New(filepath.Join(m.Dir, "tokenizer.mtok"), text)
		} else {
			m.Template, err = chat.Default(), nil
			if m.Tokenizer != nil {
				m.Notes = append(m.Notes, "no chat template in the folder: Qwen2.5-VL's own is used")
			}
		}
	}
	if err != nil {
		return err
	}
	m.Generate, err = generate.LoadConfig(m.Dir)
	if errors.Is(err, fs.ErrNotExist) {
		m.Generate, err = generate.Config{BOS: -1, Pad: -1, Sampling: generate.Defaults()}, nil
	}
	if err != nil {
		return err
	}
	if len(m.Generate.EOS) == 0 {
		m.Generate.EOS = append(m.Generate.EOS, m.Config.EOS...)
		if m.Tokenizer != nil {
			m.Generate.EOS = append(m.Generate.EOS, m.Tokenizer.StopIDs()...)
		}
	}
	return nil
}

// pictures loads the image processor's settings.
func (m *Model) pictures(o models.Options, vision bool) error {
	c, err := picture.LoadConfig(m.Dir)
	if errors.Is(err, fs.ErrNotExist) {
		err = nil
		if m.Config.MinPixels > 0 {
			c.MinPixels, c.MaxPixels = m.Config.MinPixels, m.Config.MaxPixels
		}
		if vision {
			m.Notes = append(m.Notes, fmt.Sprintf("no image processor settings of the model in the folder: pictures get %d to %d pixels (--min-pixels, --max-pixels)", c.MinPixels, c.MaxPixels))
		}
	}
	if err != nil {
		return err
	}
	m.Pictures, err = c.Within(o.MinPixels, o.MaxPixels)
	return err
}

// Info describes the model.
func (m *Model) Info() models.Info {
	info := models.Info{Architecture: Kind.Name, Family: m.Family, Stages: m.stages, Notes: m.Notes, Wishes: m.wishes,
		Context: m.Config.MaxPositions, Generate: m.Generate, Batchable: m.batchable || m.Batches()}
	if m.encode != nil {
		info.Overflows = []string{"vision"}
	}
	if m.extend != nil {
		info.Vocabulary = int(m.extend.vocabulary)
	}
	return info
}

// Phases returns the model's graphs in the order they run.
func (m *Model) Phases() []models.Phase {
	var out []models.Phase
	if m.encode != nil {
		out = append(out, models.Phase{Name: "encode", Graph: m.encode.graph, Report: m.encode.report, Meanings: encodeMeanings})
	}
	if m.extend != nil {
		out = append(out, models.Phase{Name: "extend", Graph: m.extend.graph, Report: m.extend.report, Meanings: extendMeanings})
	}
	return out
}

// Close unmaps the files.
func (m *Model) Close() error { return m.files.Close() }
