package main

import (
	"fmt"

	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// block is how many quantised numbers share a scale here. Longer blocks are so many
// with one scale.
const block = 32

// blocked writes what reads weights as onnxruntime's MatMulNBits stores them: rows
// of blocks of 32 numbers of 4 bits, low ones first, or of 8. A number q stands for
// (q - zero)·scale; the zero is that of the block, or the middle of the range.
func blocked(g *gen) {
	g.spread()
	for _, bits := range []int{4, 8} {
		g.dequantise(bits)
		for _, zeros := range []bool{false, true} {
			g.dotBlocks(bits, zeros)
		}
	}
}

// spread writes the order of a's numbers that dotBlocks takes.
func (g *gen) spread() {
	g.function("spread", "(a *float32, blocks int)", "spread"+g.name+" puts the 16 numbers of even index of each block of 32 first, and then those of odd index.")
	a, n := g.param("a"), g.param("blocks")
	var evens, odds reg.VecVirtual
	if g.floats == 16 {
		index := func(odd int) reg.VecVirtual {
			var values []int
			for i := range 16 {
				values = append(values, 2*i+odd)
			}
			v := g.vec()
			g.VMOVDQU32(g.integers(fmt.Sprintf("every2from%d", odd), values), v)
			return v
		}
		evens, odds = index(0), index(1)
	}
	loop, end := g.label("block"), g.label("block")
	g.Label(loop)
	g.DECQ(n)
	g.JL(operand.LabelRef(end))
	v := g.vecs(block / g.floats)
	for i := range v {
		g.VMOVUPS(operand.Mem{Base: a, Disp: i * g.bytes()}, v[i])
	}
	for i := 0; i < len(v); i += 2 {
		x, y := v[i], v[i+1]
		even, odd := g.vec(), g.vec()
		if g.floats == 16 {
			g.VMOVDQU32(evens, even)
			g.VPERMI2PS(y, x, even)
			g.VMOVDQU32(odds, odd)
			g.VPERMI2PS(y, x, odd)
		} else {
			g.VSHUFPS(operand.Imm(0x88), y, x, even) // x0 x2 y0 y2 of each half
			g.VPERMPD(operand.Imm(0xd8), even, even)
			g.VSHUFPS(operand.Imm(0xdd), y, x, odd)
			g.VPERMPD(operand.Imm(0xd8), odd, odd)
		}
		g.VMOVUPS(even, operand.Mem{Base: a, Disp: i / 2 * g.bytes()})
		g.VMOVUPS(odd, operand.Mem{Base: a, Disp: 64 + i/2*g.bytes()})
	}
	g.ADDQ(operand.I32(4*block), a)
	g.JMP(operand.LabelRef(loop))
	g.Label(end)
	g.VZEROUPPER()
	g.RET()
}

// middle is the zero of blocks that have none of their own.
func middle(bits int) float32 { return float32(int(1) << (bits - 1)) }

// dequantise writes numbers of float32 in their order.
func (g *gen) dequantise(bits int) {
	g.function(fmt.Sprintf("dequantise%d", bits), "(dst *float32, w *uint8, s, z *float32, blocks int)",
		fmt.Sprintf("dequantise%d%s stores the numbers of blocks of 32 numbers of %d bits, each with a scale s and a zero z.", bits, g.name, bits))
	dst, w, s, z, n := g.param("dst"), g.param("w"), g.param("s"), g.param("z"), g.param("blocks")
	nibbles := g.YMM()
	if bits == 4 {
		r := g.GP32()
		g.MOVL(operand.U32(0x0f0f0f0f), r)
		g.VMOVD(r, nibbles.AsX())
		g.VPBROADCASTD(nibbles.AsX(), nibbles)
	}
	loop, end := g.label("block"), g.label("block")
	g.Label(loop)
	g.DECQ(n)
	g.JL(operand.LabelRef(end))
	scale, zero := g.vec(), g.vec()
	g.VBROADCASTSS(operand.Mem{Base: s}, scale)
	g.VBROADCASTSS(operand.Mem{Base: z}, zero)
	var bytes reg.VecVirtual
	if bits == 4 { // 0xHL becomes 0x0H0L
		t := g.YMM()
		bytes = g.YMM()
		g.VPMOVZXBW(operand.Mem{Base: w}, bytes)
		g.VPSLLW(operand.Imm(4), bytes, t)
		g.VPOR(t, bytes, bytes)
		g.VPAND(nibbles, bytes, bytes)
	}
	for i := 0; i < block; i += g.floats {
		v := g.vec()
		switch {
		case bits == 8:
			g.VPMOVZXBD(operand.Mem{Base: w, Disp: i}, v)
		case i == 0:
			g.VPMOVZXBD(bytes.AsX(), v)
		default:
			x := g.XMM()
			if i >= 16 {
				g.VEXTRACTI128(operand.Imm(1), bytes, x)
			} else {
				g.VMOVDQU(bytes.AsX(), x)
			}
			if i%16 > 0 {
				g.VPSRLDQ(operand.Imm(8), x, x)
			}
			g.VPMOVZXBD(x, v)
		}
		g.VCVTDQ2PS(v, v)
		g.VSUBPS(zero, v, v)
		g.VMULPS(scale, v, v)
		g.VMOVUPS(v, operand.Mem{Base: dst, Disp: 4 * i})
	}
	g.ADDQ(operand.Imm(uint64(block*bits/8)), w)
	g.ADDQ(operand.Imm(4), s)
	g.ADDQ(operand.Imm(4), z)
	g.ADDQ(operand.I32(4*block), dst)
	g.JMP(operand.LabelRef(loop))
	g.Label(end)
	g.VZEROUPPER()
	g.RET()
}

// dotBlocks writes c += a·wᵀ. Where the numbers have 4 bits, each block of a has its
// 16 numbers of even index first.
func (g *gen) dotBlocks(bits int, zeros bool) {
	name, params := fmt.Sprintf("dot%d", bits), "(c *float32, ldc int, a *float32, lda int, w *uint8, ldw int, s *float32, lds"
	if zeros {
		name, params = name+"Zeros", params+" int, z *float32, ldz"
	}
	g.function(name, params+", m, n, blocks int)",
		name+g.name+" adds the products of m rows of a and n rows of blocks w, with scales s, to c.",
		"Strides are in numbers, that of w in bytes. m is 1, 2 or 4.")
	g.byRows(
		func() { g.dotBlocksOf(bits, zeros, 1, 4) },
		func() { g.dotBlocksOf(bits, zeros, 2, g.floats/4) },
		func() { g.dotBlocksOf(bits, zeros, 4, g.floats/4) })
}

func (g *gen) dotBlocksOf(bits int, zeros bool, m, n int) {
	lda, ldw, lds := g.stride("lda", 4), g.param("ldw"), g.stride("lds", 4)
	var ldz reg.GPVirtual
	if zeros {
		ldz = g.stride("ldz", 4)
	}
	var from reg.VecVirtual // what a number stands for before it is scaled
	if !zeros {
		if bits == 4 && g.floats == 16 {
			var values []float32
			for q := range 16 {
				values = append(values, float32(q)-middle(4))
			}
			from = g.vec()
			g.VMOVUPS(g.table("nibbles", values), from)
		} else {
			from = g.broadcast(middle(bits))
		}
	} else if bits == 4 && g.floats == 16 {
		var values []float32
		for q := range 16 {
			values = append(values, float32(q))
		}
		from = g.vec()
		g.VMOVUPS(g.table("sixteen", values), from)
	}
	var low reg.VecVirtual
	if bits == 4 && g.floats == 8 {
		low = g.broadcastBits(15)
	}
	for _, wide := range []int{n, 1} {
		loop, end, next := g.label("columns"), g.label("columns"), g.label("columns")
		g.Label(loop)
		g.CMPQ(g.memory("n"), operand.Imm(uint64(wide)))
		g.JL(operand.LabelRef(end))
		g.SUBQ(operand.Imm(uint64(wide)), g.memory("n"))
		k := g.param("blocks")
		a, w, s := g.rowsAt(g.param("a"), lda, m), g.rowsAt(g.param("w"), ldw, wide), g.rowsAt(g.param("s"), lds, wide)
		var z rows
		if zeros {
			z = g.rowsAt(g.param("z"), ldz, wide)
		}
		sums := g.vecs(m * wide)
		for _, v := range sums {
			g.VXORPS(v, v, v)
		}
		inner := g.label("blocks")
		g.Label(inner)
		g.DECQ(k)
		g.JL(operand.LabelRef(next))
		var x []reg.VecVirtual // all of a's numbers, where there are registers for them
		if g.floats == 16 && wide > 1 {
			x = g.vecs(2 * m)
			for i := range x {
				g.VMOVUPS(a.row(i/2, i%2*64), x[i])
			}
		}
		take := func(v reg.VecVirtual, j, at int) {
			for i := range m {
				if x != nil {
					g.VFMADD231PS(x[2*i+at/16], v, sums[i*wide+j])
				} else {
					g.VFMADD231PS(a.row(i, 4*at), v, sums[i*wide+j])
				}
			}
		}
		for j := range wide {
			g.blockTimes(bits, from, low, w, s, z, j, take)
		}
		g.advance(a, 4*block)
		g.advance(w, block*bits/8)
		g.advance(s, 4)
		if zeros {
			g.advance(z, 4)
		}
		g.JMP(operand.LabelRef(inner))
		g.Label(next)
		c, ldc := g.param("c"), g.stride("ldc", 4)
		for i := range m {
			total := g.sum(sums[i*wide : i*wide+wide])
			g.addTo(operand.Mem{Base: c}, total, wide)
			g.ADDQ(ldc, c)
		}
		g.ADDQ(operand.Imm(uint64(4*wide)), g.memory("c"))
		for range wide {
			g.ADDQ(ldw, g.memory("w"))
			g.ADDQ(lds, g.memory("s"))
			if zeros {
				g.ADDQ(ldz, g.memory("z"))
			}
		}
		g.JMP(operand.LabelRef(loop))
		g.Label(end)
	}
	g.VZEROUPPER()
	g.RET()
}

// blockTimes dequantises one block of row j and hands its vectors to take, with
// where their factors start in a block of a.
func (g *gen) blockTimes(bits int, from, low reg.VecVirtual, w, s, z rows, j int, take func(v reg.VecVirtual, j, at int)) {
	if bits == 4 && g.floats == 16 { // 16 numbers are looked up in what 16 stand for
		scaled := g.vec()
		if z.bases == nil {
			g.VMULPS_BCST(s.row(j, 0), from, scaled)
		} else {
			g.VSUBPS_BCST(z.row(j, 0), from, scaled)
			g.VMULPS_BCST(s.row(j, 0), scaled, scaled)
		}
		v, h := g.vec(), g.vec()
		g.VPMOVZXBD(w.row(j, 0), v)
		g.VPSRLD(operand.Imm(4), v, h)
		g.VPERMPS(scaled, v, v)
		g.VPERMPS(scaled, h, h)
		take(v, j, 0)
		take(h, j, 16)
		return
	}
	scale, zero := g.vec(), from
	g.VBROADCASTSS(s.row(j, 0), scale)
	if z.bases != nil {
		zero = g.vec()
		g.VBROADCASTSS(z.row(j, 0), zero)
	}
	number := func(v reg.VecVirtual, at int) {
		g.VCVTDQ2PS(v, v)
		g.VSUBPS(zero, v, v)
		g.VMULPS(scale, v, v)
		take(v, j, at)
	}
	for i := 0; i < block*bits/8; i += g.floats {
		v := g.vec()
		g.VPMOVZXBD(w.row(j, i), v)
		if bits == 4 {
			h := g.vec()
			g.VPSRLD(operand.Imm(4), v, h)
			g.VPAND(low, v, v)
			number(v, i)
			number(h, 16+i)
		} else {
			number(v, i)
		}
	}
}
