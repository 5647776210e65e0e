package main

import (
	"fmt"

	"github.com/mmcloughlin/avo/ir"
	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// amx writes products on tiles of 16 rows of 64 bytes: of bfloat16 and of bytes. Go's assembler
// does not know the instructions, so registers are chosen here: nobody sees what bytes use.
func amx(g *gen) {
	if g.floats != 16 {
		return
	}
	g.amxParts()
	g.amxBytes()
}

// tileProduct is an instruction that multiplies tiles.
type tileProduct struct {
	name           string
	opcode, prefix byte
}

var (
	tdpbf16ps = tileProduct{"TDPBF16PS", 0x5c, 2}
	tdpbsud   = tileProduct{"TDPBSUD", 0x5e, 2}
	tdpbssd   = tileProduct{"TDPBSSD", 0x5e, 3}
)

// amxBytes writes products of bytes, which lie as rows of matrices.
func (g *gen) amxBytes() {
	g.start("tilesBytesAMX", "(c *int32, ldc int, a *uint8, lda int, b *uint32, ldb, stepb, steps, blocks, shape int, config *uint8)",
		"tilesBytesAMX adds, to blocks of two tiles of rows of c and two of columns, the products of fours of signed bytes of a and unsigned ones of b, so many steps of 16 of them deep.",
		"Bit 0 of shape: one tile of columns, bit 1: one of rows.",
		"Strides and stepb, which is 16·ldb, are in bytes; config is what LDTILECFG loads: tiles 0 to 3 for sums, 4 and 5 for a, 6 and 7 for b.")
	c, ldc, a, lda, b, ldb := reg.RDI, reg.RSI, reg.RDX, reg.RCX, reg.R8, reg.R9
	high, steps := reg.R10, reg.R13 // high: 16 rows of a
	atA, nextA := reg.RAX, reg.R15
	for _, p := range []struct {
		name string
		to   reg.Register
	}{{"c", c}, {"ldc", ldc}, {"lda", lda}, {"lda", high}, {"ldb", ldb}, {"config", atA}} {
		g.Load(g.Param(p.name), p.to)
	}
	g.SHLQ(operand.Imm(4), high)
	g.code(0xc4, 0xe2, 0x78, 0x49, 0x00) // LDTILECFG (RAX)
	g.Load(g.Param("shape"), atA)
	for shape := range 4 {
		g.CMPQ(atA, operand.Imm(uint64(shape)))
		g.JE(operand.LabelRef(fmt.Sprintf("shape%d", shape)))
	}
	g.JMP(operand.LabelRef("end"))
	for shape := range 4 {
		rows, cols := 2-shape/2, 2-shape%2
		label := func(what string) string { return fmt.Sprintf("%s%d", what, shape) }
		sums := func(load bool) {
			g.MOVQ(c, atA)
			for i := range rows {
				for j := range cols {
					g.tileMove(load, 2*i+j, atA, ldc, 64*j)
				}
				if i == 0 && rows == 2 {
					g.MOVQ(ldc, nextA)
					g.SHLQ(operand.Imm(4), nextA)
					g.ADDQ(nextA, atA)
				}
			}
		}
		g.Label(label("shape"))
		sums(true)
		g.Load(g.Param("a"), a)
		g.Load(g.Param("b"), b)
		g.Load(g.Param("steps"), steps)
		g.Label(label("step"))
		for j := range cols {
			g.tileMove(true, 6+j, b, ldb, 64*j)
		}
		g.tileMove(true, 4, a, lda, 0)
		if rows == 2 {
			g.LEAQ(operand.Mem{Base: a, Index: high, Scale: 1}, nextA)
			g.tileMove(true, 5, nextA, lda, 0)
		}
		for i := range rows {
			for j := range cols {
				g.tileProducts(tdpbsud, 2*i+j, 4+i, 6+j)
			}
		}
		g.ADDQ(operand.Imm(64), a)
		g.ADDQ(g.memory("stepb"), b)
		g.DECQ(steps)
		g.JNZ(operand.LabelRef(label("step")))
		sums(false)
		g.MOVQ(ldc, atA)
		g.SHLQ(operand.Imm(5), atA)
		g.ADDQ(atA, c)
		g.MOVQ(high, atA)
		g.ADDQ(atA, atA)
		g.ADDQ(atA, g.memory("a"))
		g.DECQ(g.memory("blocks"))
		g.JNZ(operand.LabelRef(label("shape")))
		g.JMP(operand.LabelRef("end"))
	}
	g.Label("end")
	g.code(0xc4, 0xe2, 0x78, 0x49, 0xc0) // TILERELEASE
	g.RET()
}

// code writes an instruction as bytes.
func (g *gen) code(bytes ...byte) {
	for _, b := range bytes {
		g.Instruction(&ir.Instruction{Opcode: "BYTE", Operands: []operand.Op{operand.U8(b)}})
	}
}

// tileMove writes TILELOADD, or TILESTORED, of a tile whose rows are stride bytes apart,
// from disp bytes behind base on.
func (g *gen) tileMove(load bool, tile int, base, stride reg.GPPhysical, disp int) {
	name, pp := "TILESTORED", byte(2)
	if load {
		name, pp = "TILELOADD", 3
	}
	b, x := base.PhysicalIndex(), stride.PhysicalIndex()
	g.Comment(fmt.Sprintf("%s %d(%s)(%s*1), TMM%d", name, disp, base.Asm(), stride.Asm(), tile))
	g.code(0xc4, 1<<7|byte(^x>>3&1)<<6|byte(^b>>3&1)<<5|2, 15<<3|pp, 0x4b, 2<<6|byte(tile)<<3|4, byte(x&7)<<3|byte(b&7))
	g.code(byte(disp), byte(disp>>8), byte(disp>>16), byte(disp>>24))
}

// tileZero writes TILEZERO.
func (g *gen) tileZero(tile int) {
	g.Comment(fmt.Sprintf("TILEZERO TMM%d", tile))
	g.code(0xc4, 0xe2, 0x7b, 0x49, 3<<6|byte(tile)<<3)
}

// tileProducts writes sum += a·b.
func (g *gen) tileProducts(of tileProduct, sum, a, b int) {
	g.Comment(fmt.Sprintf("%s TMM%d, TMM%d, TMM%d", of.name, b, a, sum))
	g.code(0xc4, 0xe2, byte(^b&15)<<3|of.prefix, of.opcode, 3<<6|byte(sum)<<3|byte(a))
}
