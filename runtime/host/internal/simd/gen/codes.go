package main

import (
	"github.com/mmcloughlin/avo/operand"
)

// A record of digits stands for 64 numbers of a row: three digits of 8 bits for each,
// all highest ones first, what sums of each digit's products start at (see dotDigits)
// and what a lowest digit counts.
const (
	digitNumbers = 64
	digitStarts  = 3 * digitNumbers
	digitUnit    = digitStarts + 3*4
	digitRecord  = digitUnit + 4
)

// codes writes products of float32 and codes of 8 bits that are summed as integers.
func codes(g *gen) {
	if g.floats == 16 {
		g.digits()
		g.dotDigits()
	}
}

// digits cuts numbers into digits, which have signs: what is left of a number by the
// higher ones is rounded to nearest.
func (g *gen) digits() {
	g.function("digits", "(dst, x *float32, by, unit float32)", "digits"+g.name+" stores the record of 64 numbers, as integers once they are multiplied; unit is one over that.")
	dst, x, by, half := g.param("dst"), g.param("x"), g.splat("by"), g.broadcastBits(1<<7)
	sums := g.vecs(3)
	for _, v := range sums {
		g.pxor(v, v, v)
	}
	for at := 0; at < digitNumbers; at += g.floats {
		v := g.vec()
		g.VMULPS(operand.Mem{Base: x, Disp: 4 * at}, by, v)
		g.VCVTPS2DQ(v, v)
		for d := 2; d >= 0; d-- {
			g.VPMOVDB(v, operand.Mem{Base: dst, Disp: d*digitNumbers + at})
			g.VPADDD(v, sums[d], sums[d])
			if d > 0 {
				g.VPADDD(half, v, v)
				g.VPSRAD(operand.Imm(8), v, v)
			}
		}
	}
	higher := g.GP32()
	for d, v := range sums {
		total, start := g.GP32(), g.GP32()
		g.VMOVD(g.joined(v, func(y, x, to operand.Op) { g.VPADDD(y, x, to) }), total)
		g.MOVL(total, start)
		if d > 0 { // of what the higher digits leave
			g.SHLL(operand.Imm(8), higher)
			g.SUBL(higher, start)
		}
		g.MOVL(total, higher)
		g.SHLL(operand.Imm(7), start)
		g.NEGL(start)
		g.MOVL(start, operand.Mem{Base: dst, Disp: digitStarts + 4*d})
	}
	unit, r := g.GP32(), operand.Mem{Base: dst, Disp: digitUnit}
	from := g.memory("unit")
	g.MOVL(from, unit)
	g.MOVL(unit, r)
	g.VZEROUPPER()
	g.RET()
}

// dotDigits takes 16 rows of codes at once. Turned, so that a vector has four codes of
// each, they are multiplied with four digits of every row of digits in turn: sums lie
// lane by lane where they are stored. Instructions multiply codes without sign: codes
// have 128 added, and sums start at what that adds, less.
func (g *gen) dotDigits() {
	g.function("dotDigits", "(c *float32, ldc int, d *float32, w *int8, ldw, m, n int)",
		"dotDigits"+g.name+" adds the products of m records of digits and n rows of w, 64 codes long, to c.",
		"ldc and ldw are strides in numbers.")
	c, ldc := g.param("c"), g.stride("ldc", 4)
	w, ldw, n := g.param("w"), g.param("ldw"), g.param("n")
	above, base := g.broadcastBits(0x80808080), g.broadcast(256)
	block, row := g.label("block"), g.label("row")
	g.Label(block)
	left, most := g.copyOf(n), g.GP64()
	g.MOVQ(operand.I32(16), most)
	g.CMPQ(left, most)
	g.CMOVQGT(most, left)
	mask := g.tail(left)
	none, turned := g.GP64(), g.vecs(16)
	g.XORQ(none, none)
	for i, v := range turned {
		g.VPXORD(operand.Mem{Base: w}, above, v)
		step := g.copyOf(ldw) // behind the last row, that is read again
		g.CMPQ(left, operand.Imm(uint64(i+2)))
		g.CMOVQLT(none, step)
		g.ADDQ(step, w)
	}
	g.ADDQ(ldw, w)
	turned = g.turned(turned)
	d, to, rows := g.param("d"), g.copyOf(c), g.param("m")
	g.Label(row)
	sums := g.vecs(3)
	for i, v := range sums {
		g.VPBROADCASTD(operand.Mem{Base: d, Disp: digitStarts + 4*i}, v)
	}
	for at, v := range turned {
		for i, sum := range sums {
			g.VPDPBUSD_BCST(operand.Mem{Base: d, Disp: i*digitNumbers + 4*at}, v, sum)
		}
	}
	for _, v := range sums {
		g.VCVTDQ2PS(v, v)
	}
	g.VFMADD213PS(sums[1], base, sums[0])
	g.VFMADD213PS(sums[2], base, sums[0])
	was := g.vec()
	g.VMOVUPS_Z(operand.Mem{Base: to}, mask, was)
	g.VFMADD231PS_BCST(operand.Mem{Base: d, Disp: digitUnit}, sums[0], was)
	g.VMOVUPS(was, mask, operand.Mem{Base: to})
	g.ADDQ(operand.Imm(digitRecord), d)
	g.ADDQ(ldc, to)
	g.DECQ(rows)
	g.JNZ(operand.LabelRef(row))
	g.ADDQ(operand.Imm(64), c)
	g.SUBQ(operand.Imm(16), n)
	g.JG(operand.LabelRef(block))
	g.VZEROUPPER()
	g.RET()
}
