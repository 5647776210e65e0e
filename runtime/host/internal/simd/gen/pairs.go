package main

import (
	"fmt"

	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// pairs writes how blocks become pairs of bfloat16 numbers: the right side of products on
// tiles, from weights of as many columns as a tile has.
func pairs(g *gen) {
	if g.floats != 16 {
		return
	}
	g.blockPairs(4)
	g.blockPairs(8)
}

func (g *gen) blockPairs(bits int) {
	g.function(fmt.Sprintf("blockPairs%d", bits), "(dst *float32, ldd int, w *uint8, ldw int, s, z *float32, blocks int)",
		fmt.Sprintf("blockPairs%d%s stores the numbers of blocks of 16 rows of w as pairs of bfloat16, ties to even: 16 rows of dst for each block.", bits, g.name),
		"s and z have a scale and a zero for each row of w, block behind block. ldd is in numbers, ldw in bytes.")
	dst, ldd, w, ldw := g.param("dst"), g.stride("ldd", 4), g.param("w"), g.param("ldw")
	s, z, n := g.param("s"), g.param("z"), g.param("blocks")
	var values, order []int
	for i := range 16 {
		order = append(order, i|(16+i)<<16)
		values = append(values, i)
	}
	interleave, codes, low := g.vec(), g.vec(), g.vec()
	g.VMOVUPS(g.integers("interleaved", order), interleave)
	if bits == 4 {
		g.VMOVDQU32(g.integers("codes", values), codes)
		g.VCVTDQ2PS(codes, codes)
	} else {
		low = g.broadcastBits(0xff)
	}
	loop, end := g.label("block"), g.label("block")
	g.Label(loop)
	g.DECQ(n)
	g.JL(operand.LabelRef(end))
	scales, zeros := g.vec(), g.vec()
	g.VMOVUPS(operand.Mem{Base: s}, scales)
	g.VMOVUPS(operand.Mem{Base: z}, zeros)
	number := func(v reg.VecVirtual, at int) reg.VecVirtual { // that of bits from bit at on
		x := g.vec()
		if at > 0 {
			g.VPSRLD(operand.Imm(uint64(at)), v, x)
		} else {
			g.VMOVAPS(v, x)
		}
		if bits == 4 {
			g.VPERMPS(codes, x, x) // looks at the low 4 bits of an index
		} else {
			if at < 24 {
				g.pand(low, x, x)
			}
			g.VCVTDQ2PS(x, x)
		}
		g.VSUBPS(zeros, x, x)
		g.VMULPS(scales, x, x)
		return x
	}
	for half := range bits / 4 {
		for _, v := range g.turnedRows(w, ldw, 16*half) {
			for at := 0; at < 32; at += 2 * bits {
				first, second := number(v, at), number(v, at+bits)
				g.VPMULHRSW(first, second, first) // stands for VCVTNE2PS2BF16
				g.VPERMW(first, interleave, first)
				g.VMOVUPS(first, operand.Mem{Base: dst})
				g.ADDQ(ldd, dst)
			}
		}
	}
	g.ADDQ(operand.Imm(uint64(4*bits)), w)
	g.ADDQ(operand.Imm(64), s)
	g.ADDQ(operand.Imm(64), z)
	g.JMP(operand.LabelRef(loop))
	g.Label(end)
	g.VZEROUPPER()
	g.RET()
}

// turnedRows loads 16 bytes of as many rows as a vector has lanes: 4 bytes of each row in
// every vector, in the order of rows.
func (g *gen) turnedRows(w, ldw reg.GPVirtual, disp int) []reg.VecVirtual {
	v := g.vecs(4) // 16 bytes of rows 4·lane + i
	p := g.copyOf(w)
	for lane := range g.floats / 4 {
		for i := range v {
			at := operand.Mem{Base: p, Disp: disp}
			switch {
			case lane == 0:
				g.VMOVDQU(at, v[i].AsX())
			case g.floats == 16:
				g.VINSERTI32X4(operand.Imm(uint64(lane)), at, v[i], v[i])
			default:
				g.VINSERTI128(operand.Imm(uint64(lane)), at, v[i], v[i])
			}
			g.ADDQ(ldw, p)
		}
	}
	a, b, c, d := g.vec(), g.vec(), g.vec(), g.vec()
	g.VUNPCKLPS(v[1], v[0], a)
	g.VUNPCKHPS(v[1], v[0], b)
	g.VUNPCKLPS(v[3], v[2], c)
	g.VUNPCKHPS(v[3], v[2], d)
	g.VUNPCKLPD(c, a, v[0])
	g.VUNPCKHPD(c, a, v[1])
	g.VUNPCKLPD(d, b, v[2])
	g.VUNPCKHPD(d, b, v[3])
	return v
}
