package main

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/url"
	"strings"
	"time"

	cdx "github.com/CycloneDX/cyclonedx-go"
)

// bill is the program's bill of materials, in CycloneDX's JSON
// (https://cyclonedx.org/docs/1.6/json): the modules that the linker put in, by
// what the binary itself says, Go's library, and each one's licence.
func (p *program) bill(when time.Time) ([]byte, error) {
	sum := sha256.Sum256(p.data)
	b := cdx.NewBOM()
	b.Metadata = &cdx.Metadata{
		Timestamp: when.UTC().Format(time.RFC3339),
		Component: &cdx.Component{
			Type: cdx.ComponentTypeApplication, BOMRef: p.name(), Name: "mnnconv", Version: version(p.info),
			Hashes:   &[]cdx.Hash{{Algorithm: cdx.HashAlgoSHA256, Value: hex.EncodeToString(sum[:])}},
			Licenses: &cdx.Licenses{{License: &cdx.License{ID: "Apache-2.0"}}},
		},
		Properties: &[]cdx.Property{{Name: "target", Value: p.target}},
	}
	goes := strings.TrimPrefix(p.info.GoVersion, "go")
	parts := []cdx.Component{{
		Type: cdx.ComponentTypeLibrary, BOMRef: "pkg:golang/std@" + goes, Name: "std", Version: goes, PackageURL: "pkg:golang/std@" + goes,
		Licenses: &cdx.Licenses{{License: &cdx.License{ID: "BSD-3-Clause"}}},
	}}
	for _, l := range p.terms {
		m := l.module
		ref := "pkg:golang/" + purl(m.Path) + "@" + url.PathEscape(m.Version)
		c := cdx.Component{
			Type: cdx.ComponentTypeLibrary, BOMRef: ref, Name: m.Path, Version: m.Version, PackageURL: ref,
			Licenses: &cdx.Licenses{{License: &cdx.License{ID: l.id}}},
		}
		if m.Sum != "" {
			c.Properties = &[]cdx.Property{{Name: "go.sum", Value: m.Sum}}
		}
		parts = append(parts, c)
	}
	b.Components = &parts
	var out bytes.Buffer
	e := cdx.NewBOMEncoder(&out, cdx.BOMFileFormatJSON)
	if err := e.SetPretty(true).Encode(b); err != nil {
		return nil, fmt.Errorf("bill of materials: %w", err)
	}
	return out.Bytes(), nil
}

// purl escapes a module's path as package URLs want it.
func purl(path string) string {
	parts := strings.Split(path, "/")
	for i, p := range parts {
		parts[i] = cmp.Or(url.PathEscape(p), p)
	}
	return strings.Join(parts, "/")
}
