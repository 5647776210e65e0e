package main

import (
	"fmt"

	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// tileRowsMost is how many rows a tile has.
const tileRowsMost = 16

// amxBlocks writes products of records and a panel of signed weights on tiles. A block's sums
// of integers leave the tile through memory, where they are scaled and added as
// tileQuantised does, with the same bits.
func amxBlocks(g *gen) {
	if g.floats != 16 {
		return
	}
	g.start("tileBlocksAMX", "(c *float32, ldc int, x *uint8, ldx int, w, sums *uint8, m, groups, blocks int, config, soon *uint8, ldsoon, quads int)",
		"tileBlocksAMX adds the product of groups of m rows of records x and a panel w of signed weights to c.",
		fmt.Sprintf("Strides are in numbers, that of x in bytes. m is 1 to %d. sums is room for two tiles.", tileRowsMost),
		"config is what LDTILECFG loads: tiles 0 and 1 for sums, 4 and 5 for rows of x, 6 and 7 for w.",
		"For each block of the first group, four lines of rows of soon are asked for, ldsoon bytes apart, each of so many fours.")
	// Nobody sees what bytes use, so registers are chosen here.
	bases := []reg.GPPhysical{reg.RDX, reg.RBX, reg.R8, reg.R12, reg.R15, reg.RAX} // of three rows each
	ldx, w, sums, line, left := reg.RCX, reg.R13, reg.R9, reg.R11, reg.R10
	c, ldc := reg.RDI, reg.RSI // between groups; then
	asked, quads := reg.RDI, reg.RSI
	row := func(i, disp int) operand.Mem {
		m := operand.Mem{Base: bases[i/3], Disp: disp}
		if i%3 > 0 {
			m.Index, m.Scale = ldx, uint8(i%3)
		}
		return m
	}
	g.Load(g.Param("config"), reg.RAX)
	g.code(0xc4, 0xe2, 0x78, 0x49, 0x00) // LDTILECFG (RAX)
	for _, p := range []struct {
		name string
		to   reg.Register
	}{{"ldx", ldx}, {"sums", sums}, {"m", left}} {
		g.Load(g.Param(p.name), p.to)
	}
	g.SHLQ(operand.Imm(2), g.memory("ldc"))
	g.MOVQ(operand.I32(64), line)
	for m := 1; m <= tileRowsMost; m++ {
		g.CMPQ(left, operand.Imm(uint64(m)))
		g.JE(operand.LabelRef(fmt.Sprintf("rows%d", m)))
	}
	g.JMP(operand.LabelRef("end"))
	for m := 1; m <= tileRowsMost; m++ {
		label := func(what string) string { return fmt.Sprintf("%s%d", what, m) }
		g.Label(label("rows"))
		totals := g.vecs(m)
		g.MOVQ(g.memory("c"), c)
		g.MOVQ(g.memory("ldc"), ldc)
		for _, v := range totals {
			g.VMOVUPS(operand.Mem{Base: c}, v)
			g.ADDQ(ldc, c)
		}
		g.MOVQ(g.memory("soon"), asked)
		g.MOVQ(g.memory("quads"), quads)
		g.Load(g.Param("x"), bases[0])
		for i := 3; i < m; i += 3 {
			g.LEAQ(operand.Mem{Base: bases[i/3-1], Index: ldx, Scale: 2}, bases[i/3])
			g.ADDQ(ldx, bases[i/3])
		}
		g.Load(g.Param("w"), w)
		g.Load(g.Param("blocks"), left)
		// product multiplies a block that many behind the first one, scaled adds what came out.
		product := func(slot, behind int) {
			g.tileMove(true, 4+slot, bases[0], ldx, behind*recordTile)
			g.tileMove(true, 6+slot, w, line, behind*9*64)
			g.tileZero(slot)
			g.tileProducts(tdpbssd, slot, 4+slot, 6+slot)
			g.tileMove(false, slot, sums, line, slot*1024)
			for i := range 4 {
				g.PREFETCHT1(operand.Mem{Base: asked, Disp: 64 * i})
			}
			g.ADDQ(operand.I32(256), asked)
			same := g.label("asked")
			g.DECQ(quads)
			g.JNZ(operand.LabelRef(same))
			g.MOVQ(g.memory("soon"), asked)
			g.ADDQ(g.memory("ldsoon"), asked)
			g.MOVQ(asked, g.memory("soon"))
			g.MOVQ(g.memory("quads"), quads)
			g.Label(same)
		}
		scaled := func(slot int) {
			scale := g.vec()
			g.VMOVUPS(operand.Mem{Base: w, Disp: slot*9*64 + 8*64}, scale)
			for i, total := range totals {
				whole, by := g.vec(), g.vec()
				g.VCVTDQ2PS(operand.Mem{Base: sums, Disp: slot*1024 + 64*i}, whole)
				g.VMULPS_BCST(row(i, slot*recordTile+32), scale, by)
				g.VFMADD231PS(by, whole, total)
			}
		}
		next := func() {
			for i := 0; i < m; i += 3 {
				g.ADDQ(operand.I32(2*recordTile), bases[i/3])
			}
			g.ADDQ(operand.I32(2*9*64), w)
		}
		product(0, 0)
		g.CMPQ(left, operand.Imm(2))
		g.JL(operand.LabelRef(label("last")))
		product(1, 1)
		g.Label(label("pair"))
		g.CMPQ(left, operand.Imm(4))
		g.JL(operand.LabelRef(label("few")))
		scaled(0)
		product(0, 2)
		scaled(1)
		product(1, 3)
		next()
		g.SUBQ(operand.Imm(2), left)
		g.JMP(operand.LabelRef(label("pair")))
		g.Label(label("few"))
		scaled(0)
		g.CMPQ(left, operand.Imm(3))
		g.JL(operand.LabelRef(label("two")))
		product(0, 2)
		scaled(1)
		next()
		g.Label(label("last"))
		scaled(0)
		g.JMP(operand.LabelRef(label("store")))
		g.Label(label("two"))
		scaled(1)
		g.Label(label("store"))
		g.MOVQ(g.memory("c"), c)
		g.MOVQ(g.memory("ldc"), ldc)
		for _, v := range totals {
			g.VMOVUPS(v, operand.Mem{Base: c})
			g.ADDQ(ldc, c)
		}
		g.MOVQ(c, g.memory("c"))
		g.MOVQ(g.memory("w"), w) // is there already: what follows asks for nothing else
		g.MOVQ(w, g.memory("soon"))
		g.MOVQ(operand.I32(0), g.memory("ldsoon"))
		g.MOVQ(operand.I32(m), reg.RAX)
		g.IMULQ(ldx, reg.RAX)
		g.ADDQ(reg.RAX, g.memory("x"))
		g.DECQ(g.memory("groups"))
		g.JNZ(operand.LabelRef(label("rows")))
		g.JMP(operand.LabelRef("end"))
	}
	g.Label("end")
	g.code(0xc4, 0xe2, 0x78, 0x49, 0xc0) // TILERELEASE
	g.VZEROUPPER()
	g.RET()
}
