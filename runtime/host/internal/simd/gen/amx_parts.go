package main

import (
	"fmt"

	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

const (
	mostParts = 3    // of a number
	tileBytes = 1024 // of a part of a step
)

// partTerm is a product of part a of the left side and part b of the right one.
type partTerm struct{ a, b int }

// partTerms returns the products that matter of numbers in so many parts, the small ones
// first. Neighbours share a factor where they can.
func partTerms(a, b int) (terms []partTerm) {
	for p := a - 1; p >= 0; p-- {
		n := min(b, mostParts-p)
		for i := range n {
			if p == 0 {
				i = n - 1 - i
			}
			terms = append(terms, partTerm{p, i})
		}
	}
	return terms
}

// amxParts writes products of parts, which lie in the order in which they are read: those
// of numbers in one, two or three parts on either side.
func (g *gen) amxParts() {
	g.start("partsAMX", "(c *float32, ldc int, a *float32, banda int, b *float32, bandb, steps, blocks, counts int, config *uint8, soon *float32)",
		"partsAMX adds, to blocks of 32 rows of c and 32 columns, the products of a and b, so many steps of 16 pairs of bfloat16 numbers deep.",
		"counts is 3·(parts of a - 1) + parts of b - 1. Bytes lie between rows of c, and between bands of 16 rows of a and of 16 columns of b;",
		"config is what LDTILECFG loads: tiles 0 to 3 for sums, 4 and 5 for a, 6 and 7 for b.",
		"Meanwhile what lies in bands of 16 rows like a's from soon on is asked for: of each one line of 64 bytes more at every step than a has parts.")
	c, ldc, a, b, line := reg.RDI, reg.RSI, reg.RDX, reg.R8, reg.RCX
	a0, a1, b0, b1 := reg.R9, reg.R10, reg.R11, reg.R12
	steps, left, soon := reg.R13, reg.RBX, reg.R15
	lower, band := reg.RAX, reg.RAX // row 16 of a block of c; what the next band of a is behind
	for _, p := range []struct {
		name string
		to   reg.Register
	}{{"c", c}, {"ldc", ldc}, {"a", a}, {"b", b}, {"steps", steps}, {"config", lower}} {
		g.Load(g.Param(p.name), p.to)
	}
	g.code(0xc4, 0xe2, 0x78, 0x49, 0x00) // LDTILECFG (RAX)
	g.MOVQ(operand.I32(64), line)
	g.Load(g.Param("counts"), left)
	label := func(what string, i int) string { return fmt.Sprintf("%s%d", what, i) }
	for i := range mostParts * mostParts {
		g.CMPQ(left, operand.Imm(uint64(i)))
		g.JE(operand.LabelRef(label("block", i)))
	}
	g.JMP(operand.LabelRef("end"))
	sums := func(load bool) {
		g.MOVQ(ldc, lower)
		g.SHLQ(operand.Imm(4), lower)
		g.ADDQ(c, lower)
		for i, at := range []reg.GPPhysical{c, lower} {
			for j := range 2 {
				g.tileMove(load, 2*i+j, at, ldc, 64*j)
			}
		}
	}
	for i := range mostParts * mostParts {
		counts := partTerm{i/mostParts + 1, i%mostParts + 1}
		g.Label(label("block", i))
		sums(true)
		g.Load(g.Param("banda"), band)
		g.Load(g.Param("soon"), soon)
		g.MOVQ(a, a0)
		g.LEAQ(operand.Mem{Base: a, Index: band, Scale: 1}, a1)
		g.MOVQ(b, b0)
		g.MOVQ(b, b1)
		g.ADDQ(g.memory("bandb"), b1)
		g.MOVQ(steps, left)
		g.Label(label("step", i))
		before := partTerm{-1, -1}
		for _, t := range partTerms(counts.a, counts.b) {
			if t.b != before.b {
				g.tileMove(true, 6, b0, line, t.b*tileBytes)
				g.tileMove(true, 7, b1, line, t.b*tileBytes)
			}
			if t.a != before.a {
				g.tileMove(true, 4, a0, line, t.a*tileBytes)
				g.tileMove(true, 5, a1, line, t.a*tileBytes)
			}
			for j := range 4 {
				g.tileProducts(tdpbf16ps, j, 4+j/2, 6+j%2)
			}
			before = t
		}
		lines := counts.a + 1
		for j := range lines {
			g.PREFETCHT1(operand.Mem{Base: soon, Disp: 64 * j})
			g.PREFETCHT1(operand.Mem{Base: soon, Index: band, Scale: 1, Disp: 64 * j})
		}
		g.ADDQ(operand.I32(64*lines), soon)
		for _, p := range []struct {
			at    reg.Register
			parts int
		}{{a0, counts.a}, {a1, counts.a}, {b0, counts.b}, {b1, counts.b}} {
			g.ADDQ(operand.I32(p.parts*tileBytes), p.at)
		}
		g.DECQ(left)
		g.JNZ(operand.LabelRef(label("step", i)))
		g.LEAQ(operand.Mem{Base: a, Index: band, Scale: 2}, a)
		g.SHLQ(operand.Imm(1), band)
		g.ADDQ(band, g.memory("soon"))
		sums(false)
		g.MOVQ(ldc, lower)
		g.SHLQ(operand.Imm(5), lower)
		g.ADDQ(lower, c)
		g.DECQ(g.memory("blocks"))
		g.JNZ(operand.LabelRef(label("block", i)))
		g.JMP(operand.LabelRef("end"))
	}
	g.Label("end")
	g.code(0xc4, 0xe2, 0x78, 0x49, 0xc0) // TILERELEASE
	g.RET()
}
