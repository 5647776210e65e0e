package partition

import (
	"bytes"
	"embed"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"regexp"
	"slices"
	"strings"

	"mnnconv/graph"
	"mnnconv/schemas/jsonkeys"
)

// ErrProfile: a file of device profiles cannot be read.
var ErrProfile = errors.New("device profiles")

//go:embed profiles/*.json
var shipped embed.FS

// Limits of a file of profiles.
const (
	maxProfileFile = 4 << 20 // bytes
	maxProfiles    = 256
)

// ReadProfiles reads what `mnnconv devices --json` writes. Memory that was free then
// is left out: it is another now. Errors wrap ErrProfile and say line and column.
func ReadProfiles(file string) ([]Profile, error) {
	info, err := os.Stat(file)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() || info.Size() > maxProfileFile {
		return nil, fmt.Errorf("%s: %w: not a regular file of at most %d bytes", file, ErrProfile, maxProfileFile)
	}
	data, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	return parseProfiles(file, data)
}

// Shipped returns the profiles of a machine that this program knows by name, such
// as "h100"; ok is false if there is none.
func Shipped(name string) (profiles []Profile, ok bool) {
	data, err := shipped.ReadFile("profiles/" + name + ".json")
	if err != nil || strings.ContainsAny(name, `/\`) {
		return nil, false
	}
	profiles, err = parseProfiles(name, data)
	if err != nil {
		panic("partition: invariant: " + err.Error())
	}
	return profiles, true
}

// ShippedNames lists the machines that Shipped knows.
func ShippedNames() []string {
	entries, err := shipped.ReadDir("profiles")
	if err != nil {
		panic("partition: invariant: " + err.Error())
	}
	var out []string
	for _, e := range entries {
		out = append(out, strings.TrimSuffix(e.Name(), ".json"))
	}
	return out
}

func parseProfiles(file string, data []byte) ([]Profile, error) {
	var f struct {
		SchemaVersion *int `json:"schema_version"`
		Devices       []struct {
			Profile
			Place string          `json:"place"` // for people, as what follows is
			Check json.RawMessage `json:"check"`
		} `json:"devices"`
		Absent json.RawMessage `json:"absent"`
	}
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	err := d.Decode(&f)
	if err == nil {
		if _, more := d.Token(); more != io.EOF {
			err = errors.New("more follows the object")
		}
	}
	if r := jsonkeys.Repeated(data, true); err == nil && r != nil {
		return nil, fmt.Errorf("%s: line %d, column %d: %w: %q stands twice", file, r.Line, r.Column, ErrProfile, r.Key)
	}
	if err != nil {
		at := d.InputOffset()
		var syntax *json.SyntaxError
		var kind *json.UnmarshalTypeError
		switch {
		case errors.As(err, &syntax):
			at = syntax.Offset
		case errors.As(err, &kind):
			at = kind.Offset
		}
		before := data[:min(max(at-1, 0), int64(len(data)))]
		line := bytes.Count(before, []byte{'\n'}) + 1
		column := len(before) - bytes.LastIndexByte(before, '\n')
		return nil, fmt.Errorf("%s: line %d, column %d: %w: %w", file, line, column, ErrProfile, err)
	}
	switch {
	case f.SchemaVersion == nil || *f.SchemaVersion != 1:
		return nil, fmt.Errorf("%s: %w: expected schema_version 1; write the file anew with `mnnconv devices --json`", file, ErrProfile)
	case len(f.Devices) == 0 || len(f.Devices) > maxProfiles:
		return nil, fmt.Errorf("%s: %w: %d devices, expected 1 to %d", file, ErrProfile, len(f.Devices), maxProfiles)
	}
	var out []Profile
	var errs []error
	for i, d := range f.Devices {
		p := d.Profile
		p.Free = 0
		if err := p.check(); err != nil {
			errs = append(errs, fmt.Errorf("%s: devices[%d] %q: %w: %w", file, i, p.Name, ErrProfile, err))
		}
		if slices.ContainsFunc(out, func(q Profile) bool { return q.Name == p.Name }) {
			errs = append(errs, fmt.Errorf("%s: devices[%d]: %w: %q stands twice", file, i, ErrProfile, p.Name))
		}
		out = append(out, p)
	}
	return out, errors.Join(errs...)
}

// deviceName is a backend and an ordinal.
var deviceName = regexp.MustCompile(`^(cpu|[a-z][a-z0-9]*:(0|[1-9][0-9]{0,3}))$`)

// check finds what no device can be.
func (p *Profile) check() error {
	const maxAlign = 1 << 16
	switch {
	case !deviceName.MatchString(p.Name):
		return errors.New("expected a name such as cuda:0")
	case p.Memory < 0 || p.MaxAlloc < 0:
		return fmt.Errorf("memory %d, max_alloc %d: expected 0 or more", p.Memory, p.MaxAlloc)
	case p.Align < 1 || p.Align > maxAlign || p.Align&(p.Align-1) != 0:
		return fmt.Errorf("align %d: expected a power of two up to %d", p.Align, maxAlign)
	}
	for _, name := range p.DTypes {
		if _, ok := graph.ParseDType(name); !ok {
			return fmt.Errorf("dtypes: %q is no dtype", name)
		}
	}
	if m := p.Measured; m != nil {
		for _, x := range []float64{m.Upload, m.Download, m.Launch, m.Memory, m.Compute} {
			if x < 0 {
				return fmt.Errorf("measured: %v: expected 0 or more", x)
			}
		}
	}
	return nil
}
