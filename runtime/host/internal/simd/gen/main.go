// Command gen writes the assembly of package simd, and its Go declarations.
// Run it with go generate in runtime/host/internal/simd. It is a module of its
// own, so that the product does not depend on the assembler's library.
package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"

	"github.com/mmcloughlin/avo/build"
	"github.com/mmcloughlin/avo/buildtags"
	"github.com/mmcloughlin/avo/ir"
	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/pass"
	"github.com/mmcloughlin/avo/printer"
)

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: gen FOLDER, that of package simd")
		os.Exit(2)
	}
	files, err := generate()
	for name, text := range files {
		if err == nil {
			err = os.WriteFile(filepath.Join(os.Args[1], name), text, 0o644)
		}
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "gen:", err)
		os.Exit(1)
	}
}

// generate returns the text of each file of package simd that this program
// writes.
func generate() (map[string][]byte, error) {
	files := map[string][]byte{}
	for _, l := range []level{avx512, avx2} {
		for _, part := range parts {
			g := &gen{Context: build.NewContext(), level: l}
			g.Constraints(buildtags.And(buildtags.Term("amd64")))
			part.emit(g)
			f, err := g.Result()
			if err != nil {
				return nil, fmt.Errorf("%s of %s: %w", part.name, l.name, err)
			}
			if len(f.Functions()) == 0 { // the level has none of these
				continue
			}
			if err := pass.Concat(pass.Compile, pass.FunctionPass(bf16Instructions)).Execute(f); err != nil {
				return nil, fmt.Errorf("%s of %s: %w", part.name, l.name, err)
			}
			cfg := printer.Config{Name: "gen", Pkg: "simd"}
			base := part.name + "_" + l.file
			for name, p := range map[string]printer.Printer{base + "_amd64.s": printer.NewGoAsm(cfg), base + "_amd64.go": printer.NewStubs(cfg)} {
				if files[name], err = p.Print(f); err != nil {
					return nil, err
				}
				files[name] = bytes.TrimSpace(files[name])
				files[name] = append(files[name], '\n')
			}
		}
	}
	return files, nil
}

// parts are the files of a level, and what writes each.
var parts = []struct {
	name string
	emit func(*gen)
}{
	{"tile", tile},
	{"amx", amx},
	{"amx_blocks", amxBlocks},
	{"split", split},
	{"dot", dots},
	{"axpy", axpys},
	{"transpose", transpose},
	{"convert", converts},
	{"elementwise", elementwise},
	{"blocks", blocked},
	{"integer", integers},
	{"prefetch", prefetch},
	{"pairs", pairs},
	{"fours", fours},
	{"coding", coding},
	{"codes", codes},
}

// unknown are instructions that Go's assembler does not know, by one that they are written
// as: it has the same operands, three registers, and nobody wants it for itself.
var unknown = map[string]struct {
	name           string
	opcode, prefix byte
}{
	"VPDPWSSD":  {"VDPBF16PS", 0x52, 2},      // of F3
	"VPMULHRSW": {"VCVTNE2PS2BF16", 0x72, 3}, // of F2
}

// bf16Instructions turns these into bytes.
func bf16Instructions(f *ir.Function) error {
	var nodes []ir.Node
	for _, n := range f.Nodes {
		i, ok := n.(*ir.Instruction)
		if !ok {
			nodes = append(nodes, n)
			continue
		}
		is, ok := unknown[i.Opcode]
		if !ok {
			nodes = append(nodes, n)
			continue
		}
		var r [3]byte
		for j, o := range i.Operands {
			id, err := number(o)
			if err != nil {
				return fmt.Errorf("%s: %w", i.Opcode, err)
			}
			r[j] = id
		}
		rm, v, reg := r[0], r[1], r[2]
		not := func(b, bit byte) byte { return ^b >> bit & 1 }
		code := []byte{
			0x62,
			not(reg, 3)<<7 | not(rm, 4)<<6 | not(rm, 3)<<5 | not(reg, 4)<<4 | 2,
			^v&15<<3 | 1<<2 | is.prefix,
			2<<5 | not(v, 4)<<3,
			is.opcode,
			3<<6 | reg&7<<3 | rm&7,
		}
		nodes = append(nodes, ir.NewComment(is.name+" "+i.Operands[0].Asm()+", "+i.Operands[1].Asm()+", "+i.Operands[2].Asm()))
		for _, b := range code {
			nodes = append(nodes, &ir.Instruction{Opcode: "BYTE", Operands: []operand.Op{operand.U8(b)}})
		}
	}
	f.Nodes = nodes
	return nil
}

// number returns that of a 512-bit register.
func number(o operand.Op) (byte, error) {
	var n byte
	if _, err := fmt.Sscanf(o.Asm(), "Z%d", &n); err != nil {
		return 0, fmt.Errorf("%s is no 512-bit register", o.Asm())
	}
	return n, nil
}
