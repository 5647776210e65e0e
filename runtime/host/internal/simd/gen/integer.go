package main

import (
	"fmt"
	"math"

	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// Records of quantised activations, of blocks of 32 numbers x ≈ q·scale with q of 8
// bits. Start is what a sum of products with unsigned weights starts at: less the
// middle of their range times the sum of q.
//
//   - For dots with weights of 4 bits, 4 blocks: 64 q of even index, 64 of odd index.
//   - For dots with weights of 8 bits, 2 blocks: 64 q.
//   - For tiles, one block: 32 q, the scale, the start. Where weights have 4 bits, q of
//     even index come first.
//
// Behind those of dots are records of the scales of their blocks, and then their starts.
const (
	record4    = 128
	record8    = 64
	recordTile = 40
)

// blocksOf is how many a record of dots has.
func blocksOf(bits int) int { return 16 / bits }

// integers writes products of weights in blocks and activations quantised to 8 bits
// by the block: sums of a block are integers.
func integers(g *gen) {
	for _, bits := range []int{4, 8} {
		g.quantise(bits, false)
		g.quantise(bits, true)
		for _, s := range scaleTypes {
			g.dotQuantised(bits, s)
		}
		g.pack(bits)
	}
	g.tileQuantised()
}

// quantise writes the rounding of blocks to 127 steps of their largest number.
func (g *gen) quantise(bits int, tile bool) {
	what := "Dot"
	if tile {
		what = "Tile"
	}
	where := "dst, factors"
	if tile {
		where = "dst"
	}
	g.function(fmt.Sprintf("quantise%s%d", what, bits), "("+where+" *uint8, x *float32, blocks int)",
		fmt.Sprintf("quantise%s%d%s stores records of blocks of x.", what, bits, g.name))
	dst, x, n := g.param("dst"), g.param("x"), g.param("blocks")
	inGroup, left := blocksOf(bits), g.GP64()
	var factors reg.GPVirtual
	if !tile {
		factors = g.param("factors")
		g.MOVQ(operand.I32(inGroup), left)
	}
	absolute, tiny, most := g.broadcastBits(1<<31-1), g.broadcast(1e-30), g.broadcast(127)
	nothing := g.broadcastBits(0x7fc00000)
	middle := g.broadcastBits(uint32(int32(-1) << (bits - 1)))
	loop, end := g.label("block"), g.label("block")
	g.Label(loop)
	g.DECQ(n)
	g.JL(operand.LabelRef(end))
	v := g.vecs(block / g.floats)
	top, t := g.vec(), g.vec()
	g.VMOVAPS(tiny, top)
	bad := g.GP64()
	g.XORQ(bad, bad)
	for i := range v {
		g.VMOVUPS(operand.Mem{Base: x, Disp: i * g.bytes()}, v[i])
		g.pand(absolute, v[i], t)
		g.VMAXPS(t, top, top)
		if i%2 == 1 {
			r := g.GP64()
			if g.floats == 16 {
				k := g.K()
				g.VCMPPS(operand.Imm(3), v[i], v[i-1], k)
				g.KMOVQ(k, r)
			} else {
				g.VCMPPS(operand.Imm(3), v[i], v[i-1], t)
				g.VMOVMSKPS(t, r.As32())
			}
			g.ORQ(r, bad)
		}
	}
	y := top
	if g.floats == 16 {
		h := g.YMM()
		g.VEXTRACTF64X4(operand.Imm(1), top, h)
		g.VMAXPS(top.AsY(), h, h)
		y = h
	}
	m := g.upper(y)
	s := g.XMM()
	g.VMAXPS(m, y.AsX(), m)
	g.VPSHUFD(operand.Imm(0x0e), m, s)
	g.VMAXPS(s, m, m)
	g.VPSHUFD(operand.Imm(0x01), m, s)
	g.VMAXPS(s, m, m)
	inverse, scale := g.XMM(), g.XMM()
	g.VDIVSS(m, most.AsX(), inverse)
	g.VDIVSS(most.AsX(), m, scale)
	by := g.vec()
	g.VBROADCASTSS(inverse, by)
	total := g.vec()
	for i := range v {
		g.VMULPS(by, v[i], v[i])
		g.VCVTPS2DQ(v[i], v[i])
	}
	g.VPADDD(v[0], v[1], total)
	for i := 2; i < len(v); i++ {
		g.VPADDD(v[i], total, total)
	}
	q := g.YMM() // 32 bytes in order
	if g.floats == 16 {
		low, high := g.XMM(), g.XMM()
		g.VPMOVSDB(v[0], low)
		g.VPMOVSDB(v[1], high)
		g.VINSERTI32X4(operand.Imm(1), high, low.AsY(), q)
		h := g.YMM()
		g.VEXTRACTI64X4(operand.Imm(1), total, h)
		g.VPADDD(total.AsY(), h, h)
		total = h
	} else {
		g.VPACKSSDW(v[1], v[0], v[0])
		g.VPACKSSDW(v[3], v[2], v[2])
		g.VPACKSSWB(v[2], v[0], q)
		order := g.YMM()
		g.VMOVDQU(g.integers("packed", []int{0, 4, 1, 5, 2, 6, 3, 7}), order)
		g.VPERMD(q, order, q)
	}
	sum := g.upper(total)
	g.VPADDD(sum, total.AsX(), sum)
	g.VPSHUFD(operand.Imm(0x0e), sum, s)
	g.VPADDD(s, sum, sum)
	g.VPSHUFD(operand.Imm(0x01), sum, s)
	g.VPADDD(s, sum, sum)
	g.VPMULLD(middle.AsX(), sum, sum)
	number := g.label("number")
	g.TESTQ(bad, bad)
	g.JZ(operand.LabelRef(number))
	g.VMOVAPS(nothing.AsX(), scale)
	g.Label(number)
	if bits == 4 { // even ones first
		low, high := g.XMM(), g.XMM()
		if g.floats == 16 {
			g.VPMOVWB(q, low)
			g.VPSRLW(operand.Imm(8), q, q)
			g.VPMOVWB(q, high)
		} else {
			order := g.YMM()
			g.VMOVDQU(g.integers("evens", []int{0x06040200, 0x0e0c0a08, 0x07050301, 0x0f0d0b09, 0x06040200, 0x0e0c0a08, 0x07050301, 0x0f0d0b09}), order)
			g.VPSHUFB(order, q, q)
			g.VPERMQ(operand.Imm(0xd8), q, q)
			g.VMOVDQU(q.AsX(), low)
			g.VEXTRACTI128(operand.Imm(1), q, high)
		}
		g.VMOVDQU(low, operand.Mem{Base: dst})
		if tile {
			g.VMOVDQU(high, operand.Mem{Base: dst, Disp: 16})
		} else {
			g.VMOVDQU(high, operand.Mem{Base: dst, Disp: 64})
		}
	} else {
		g.store256(q, operand.Mem{Base: dst})
	}
	if tile {
		g.VMOVSS(scale, operand.Mem{Base: dst, Disp: 32})
		g.VMOVD(sum, operand.Mem{Base: dst, Disp: 36})
		g.ADDQ(operand.Imm(recordTile), dst)
	} else {
		g.VMOVSS(scale, operand.Mem{Base: factors})
		g.VMOVD(sum, operand.Mem{Base: factors, Disp: 4 * inGroup})
		g.ADDQ(operand.Imm(4), factors)
		g.ADDQ(operand.Imm(uint64(4*bits)), dst)
		same := g.label("group")
		g.DECQ(left)
		g.JNZ(operand.LabelRef(same))
		g.MOVQ(operand.I32(inGroup), left)
		if bits == 4 {
			g.ADDQ(operand.I32(record4-inGroup*4*bits), dst)
		}
		g.ADDQ(operand.Imm(uint64(4*inGroup)), factors)
		g.Label(same)
	}
	g.ADDQ(operand.I32(4*block), x)
	g.JMP(operand.LabelRef(loop))
	g.Label(end)
	g.VZEROUPPER()
	g.RET()
}

func (g *gen) store256(from, to operand.Op) {
	if g.floats == 16 {
		g.VMOVDQU32(from, to)
	} else {
		g.VMOVDQU(from, to)
	}
}

// scaleTypes are those of scales: of 8 bits they are codes, and each row has a factor.
var scaleTypes = []stored{storedTypes[0], storedTypes[1], storedTypes[3]}

// dotQuantised writes c += x·wᵀ for records of dots, and scales of a type.
func (g *gen) dotQuantised(bits int, scales stored) {
	name := fmt.Sprintf("dotQuantised%d", bits)
	factors, what := "", "scales s"
	if scales.size < 4 {
		name += scales.name
	}
	if scales.size == 1 {
		factors, what = "f *float32, ", "scales s times their rows' factors f"
	}
	g.function(name, "(c *float32, ldc int, x, xs *uint8, ldx int, w *uint8, ldw int, s *"+scales.goType+", lds int, "+factors+"m, n, blocks int)",
		name+g.name+" adds the products of m rows of records x, with factors xs, and n rows of blocks w, with "+what+", to c.",
		"Strides are in numbers, those of x and w in bytes. m is 1, 2 or 4.")
	g.byRows(
		func() { g.dotQuantisedOf(bits, scales, 1, g.floats/4) },
		func() { g.dotQuantisedOf(bits, scales, 2, g.floats/4) },
		func() { g.dotQuantisedOf(bits, scales, 4, g.floats/8) })
}

// perVector is how many blocks of weights a vector holds.
func (g *gen) perVector(bits int) int { return g.bytes() / (4 * bits) }

// ahead is how many bytes of weights before it needs them a loop over rows of weights
// asks for them: rows lie one behind the other, which the processor, that sees some
// rows read at once, does not guess.
const ahead = 4096

func (g *gen) dotQuantisedOf(bits int, stored stored, m, n int) {
	ldx, ldw, lds := g.param("ldx"), g.param("ldw"), g.stride("lds", stored.size)
	per, record := g.perVector(bits), record4
	if bits == 8 {
		record = record8
	}
	var low, repeat, ones reg.VecVirtual
	if bits == 4 {
		low = g.broadcastBits(0x0f0f0f0f)
	}
	if per > 1 {
		var lanes []int
		for i := range g.floats {
			lanes = append(lanes, i/(g.floats/per))
		}
		repeat = g.vec()
		g.VMOVUPS(g.integers(fmt.Sprintf("lanes%d", per), lanes), repeat)
	}
	if g.floats == 8 {
		ones = g.broadcastBits(0x00010001)
	}
	starts := g.startsOf(bits)
	for _, wide := range []int{n, 1} {
		loop, end := g.label("columns"), g.label("columns")
		g.Label(loop)
		g.CMPQ(g.memory("n"), operand.Imm(uint64(wide)))
		g.JL(operand.LabelRef(end))
		g.SUBQ(operand.Imm(uint64(wide)), g.memory("n"))
		sums := g.vecs(m * wide)
		for _, v := range sums {
			g.VXORPS(v, v, v)
		}
		// Rows of weights go together, or one after the other, in the order of memory, which
		// is faster with vectors of 512 bits and slower with those of 256.
		together, ask := wide, g.PREFETCHT0
		if m == 1 && g.floats == 16 {
			together, ask = 1, g.PREFETCHT1
		}
		for first := 0; first < wide; first += together {
			next, rest := g.label("columns"), g.label("rest")
			k, at, scalesAt := g.param("blocks"), g.param("w"), g.param("s")
			for range first {
				g.ADDQ(ldw, at)
				g.ADDQ(lds, scalesAt)
			}
			x, xs := g.rowsAt(g.param("x"), ldx, m), g.rowsAt(g.param("xs"), ldx, m)
			w, s := g.rowsAt(at, ldw, together), g.rowsAt(scalesAt, lds, together)
			soon := g.GP64()
			g.LEAQ(operand.Mem{Base: at, Disp: ahead}, soon)
			// step takes vector part of a record of each row. Of the last one there may be no
			// more than the masks say.
			step := func(part int, bytes, scales *reg.OpmaskVirtual) {
				at := part * g.bytes()
				for at := 0; at < together*g.bytes(); at += 64 {
					ask(operand.Mem{Base: soon, Disp: at})
				}
				// What a row of activations has for these blocks is loaded once where several rows
				// of weights meet it and there are registers to keep it.
				start, factor := g.vecs(m), g.vecs(m)
				kept := together > 1 && (g.floats == 16 || m < 4)
				load := func(i int) {
					starts.load(xs.row(i, 0), part, start[i])
					g.repeated(per, xs.row(i, 4*per*part), factor[i])
				}
				if kept {
					for i := range m {
						if load(i); per > 1 {
							g.VPERMPS(factor[i], repeat, factor[i])
						}
					}
				}
				for j := range together {
					v, h, scale := g.vec(), g.vec(), g.vec()
					if bytes != nil {
						g.VMOVDQU8_Z(w.row(j, 0), *bytes, v)
					} else {
						g.VMOVUPS(w.row(j, 0), v)
					}
					g.someScales(stored, per, s.row(j, 0), scale, scales)
					if kept && per > 1 {
						g.VPERMPS(scale, repeat, scale)
					}
					if bits == 4 {
						g.VPSRLW(operand.Imm(4), v, h)
						g.pand(low, v, v)
						g.pand(low, h, h)
					}
					for i := range m {
						sum, by := g.vec(), g.vec()
						if !kept {
							load(i)
						}
						switch {
						case g.floats == 16:
							if sum = start[i]; kept {
								sum = g.vec()
								g.VMOVDQA32(start[i], sum)
							}
							g.VPDPBUSD(x.row(i, at), v, sum)
							if bits == 4 {
								g.VPDPBUSD(x.row(i, 64+at), h, sum)
							}
						case bits == 4:
							t := g.vec()
							g.VPMADDUBSW(x.row(i, at), v, sum)
							g.VPMADDUBSW(x.row(i, 64+at), h, t)
							g.VPADDW(t, sum, sum)
							g.VPMADDWD(ones, sum, sum)
							g.VPADDD(start[i], sum, sum)
						default:
							g.wideProducts(x.row(i, at), w.row(j, 0), sum)
							t := g.vec()
							g.wideProducts(x.row(i, at+16), w.row(j, 16), t)
							g.VPADDD(t, sum, sum)
							g.VPADDD(start[i], sum, sum)
						}
						g.VCVTDQ2PS(sum, sum)
						g.VMULPS(scale, factor[i], by)
						if !kept && per > 1 {
							g.VPERMPS(by, repeat, by)
						}
						g.VFMADD231PS(by, sum, sums[i*wide+first+j])
					}
				}
			}
			inner := g.label("blocks")
			g.Label(inner)
			for i := range 16 / g.floats { // a record is a vector of 512 bits
				g.SUBQ(operand.Imm(uint64(per)), k)
				g.JL(operand.LabelRef(rest))
				step(i, nil, nil)
				g.advance(w, g.bytes())
				g.advance(s, stored.size*per)
				g.ADDQ(operand.I32(together*g.bytes()), soon)
			}
			g.advance(x, record)
			g.advance(xs, 8*blocksOf(bits))
			g.JMP(operand.LabelRef(inner))
			g.Label(rest)
			g.ADDQ(operand.Imm(uint64(per)), k)
			g.JZ(operand.LabelRef(next))
			if g.floats == 16 {
				all, bits64, bytes, scales := g.GP64(), g.GP64(), g.K(), g.tail(k)
				g.MOVQ(operand.I32(-1), all)
				g.SHLQ(operand.Imm(uint64(math.Log2(float64(4*bits)))), k)
				g.BZHIQ(k, all, bits64)
				g.KMOVQ(bits64, bytes)
				step(0, &bytes, &scales)
			}
			g.Label(next)
		}
		c, ldc := g.param("c"), g.stride("ldc", 4)
		var factors reg.VecVirtual
		if stored.size == 1 {
			factors = g.rowFactors(wide)
			g.ADDQ(operand.Imm(uint64(4*wide)), g.memory("f"))
		}
		for i := range m {
			total := g.sum(sums[i*wide : i*wide+wide])
			if stored.size == 1 {
				g.VMULPS(factors, total, total)
			}
			g.addTo(operand.Mem{Base: c}, total, wide)
			g.ADDQ(ldc, c)
		}
		g.ADDQ(operand.Imm(uint64(4*wide)), g.memory("c"))
		for range wide {
			g.ADDQ(ldw, g.memory("w"))
			g.ADDQ(lds, g.memory("s"))
		}
		g.JMP(operand.LabelRef(loop))
		g.Label(end)
	}
	g.VZEROUPPER()
	g.RET()
}

// starts loads those of the blocks of a vector, each to one of its block's lanes, and
// zeros to the others: their record is repeated, so that every block meets its own.
type starts struct {
	*gen
	bits  int
	mask  reg.OpmaskVirtual
	masks []operand.Mem // of the vectors of a record, where there are no masks of bits
}

// startsOf prepares them.
func (g *gen) startsOf(bits int) *starts {
	s := &starts{gen: g, bits: bits}
	blocks := blocksOf(bits)
	switch lanes := g.floats / g.perVector(bits); {
	case g.floats == 16:
		own := 0
		for b := range blocks {
			own |= 1 << (b*lanes + b)
		}
		r := g.GP32()
		g.MOVL(operand.U32(uint32(own)), r)
		s.mask = g.K()
		g.KMOVW(r, s.mask)
	case bits == 4:
		for part := range 2 {
			own := make([]int, 8)
			for b := range 2 {
				own[b*lanes+2*part+b] = -1
			}
			s.masks = append(s.masks, g.integers(fmt.Sprintf("starts%d", part), own))
		}
	}
	return s
}

// load loads those of vector part of the record at factors.
func (s *starts) load(factors operand.Mem, part int, to reg.VecVirtual) {
	factors.Disp += 4 * blocksOf(s.bits)
	switch {
	case s.floats == 16 && s.bits == 4:
		s.VBROADCASTI32X4_Z(factors, s.mask, to)
	case s.floats == 16:
		s.VBROADCASTI32X2_Z(factors, s.mask, to)
	case s.bits == 4:
		s.VBROADCASTI128(factors, to)
		s.VPAND(s.masks[part], to, to)
	default:
		factors.Disp += 4 * part
		s.VMOVD(factors, to.AsX())
	}
}

// repeated loads the factors of 1, 2 or 4 blocks, one behind the other, again and again.
func (g *gen) repeated(n int, factors operand.Mem, to reg.VecVirtual) {
	switch {
	case n == 1:
		g.VBROADCASTSS(factors, to)
	case n == 2:
		g.VBROADCASTSD(factors, to)
	default:
		g.VBROADCASTF32X4(factors, to)
	}
}

// rowFactors loads those of the next 1, 2 or 4 rows of weights.
func (g *gen) rowFactors(n int) reg.VecVirtual {
	from, to := operand.Mem{Base: g.param("f")}, g.XMM()
	switch n {
	case 1:
		g.VMOVSS(from, to)
	case 2:
		g.VMOVSD(from, to)
	default:
		g.VMOVUPS(from, to)
	}
	return to
}

// someScales loads 1, 2 or 4 scales: to all lanes, or to the first. A mask may say that
// there are fewer.
func (g *gen) someScales(s stored, n int, from operand.Mem, to reg.VecVirtual, mask *reg.OpmaskVirtual) {
	half := s.size == 2
	switch {
	case mask != nil:
		g.load(s, from, to, mask)
	case s.size == 1 && n == 1:
		g.VPBROADCASTB(from, to.AsX())
		g.VPMOVSXBD(to.AsX(), to)
		g.VCVTDQ2PS(to, to)
	case s.size == 1 && n == 2:
		g.VPBROADCASTW(from, to.AsX())
		g.VPMOVSXBD(to.AsX(), to.AsX())
		g.VCVTDQ2PS(to.AsX(), to.AsX())
	case s.size == 1:
		g.VPMOVSXBD(from, to.AsX())
		g.VCVTDQ2PS(to.AsX(), to.AsX())
	case n == 1 && half:
		g.VPBROADCASTW(from, g.half(to))
		g.VCVTPH2PS(g.half(to), to)
	case n == 1:
		g.VBROADCASTSS(from, to)
	case n == 2 && half:
		g.VMOVD(from, to.AsX())
		g.VCVTPH2PS(to.AsX(), to.AsX())
	case n == 2:
		g.VMOVSD(from, to.AsX())
	case half:
		g.VCVTPH2PS(from, to.AsX())
	default:
		g.VMOVUPS(from, to.AsX())
	}
}

// wideProducts multiplies 16 signed and 16 unsigned bytes and adds neighbours: in 16
// bits, as sums of products of 8 bits may not fit those.
func (g *gen) wideProducts(x, w operand.Mem, sum reg.VecVirtual) {
	t := g.vec()
	g.VPMOVZXBW(w, sum)
	g.VPMOVSXBW(x, t)
	g.VPMADDWD(t, sum, sum)
}

// pack writes panels for tileQuantised: of each block 8 vectors, each of 4 numbers
// of every column, and a vector of scales.
func (g *gen) pack(bits int) {
	g.function(fmt.Sprintf("pack%d", bits), "(dst, w *uint8, ldw int, s *float32, lds int, less uint32, blocks int)",
		fmt.Sprintf("pack%d%s turns blocks of as many rows as a vector has lanes into a panel, all fours of bytes less a number.", bits, g.name))
	dst, w, ldw, s, lds, n := g.param("dst"), g.param("w"), g.param("ldw"), g.param("s"), g.stride("lds", 4), g.param("blocks")
	less := g.splat("less")
	var low reg.VecVirtual
	if bits == 4 {
		low = g.broadcastBits(0x0f0f0f0f)
	}
	loop, end := g.label("block"), g.label("block")
	g.Label(loop)
	g.DECQ(n)
	g.JL(operand.LabelRef(end))
	for half := range bits / 4 {
		v := g.turnedRows(w, ldw, 16*half)
		for i := range v {
			at := func(group int) operand.Mem { return operand.Mem{Base: dst, Disp: group * g.bytes()} }
			if bits == 8 {
				g.VPSUBB(less, v[i], v[i])
				g.VMOVUPS(v[i], at(4*half+i))
				continue
			}
			high := g.vec()
			g.VPSRLW(operand.Imm(4), v[i], high)
			g.pand(low, v[i], v[i])
			g.pand(low, high, high)
			g.VPSUBB(less, v[i], v[i])
			g.VPSUBB(less, high, high)
			g.VMOVUPS(v[i], at(i))
			g.VMOVUPS(high, at(4+i))
		}
	}
	p := g.copyOf(s)
	for i := range g.floats {
		t := g.XMM()
		g.VMOVSS(operand.Mem{Base: p}, t)
		g.VMOVSS(t, operand.Mem{Base: dst, Disp: 8*g.bytes() + 4*i})
		if i < g.floats-1 {
			g.ADDQ(lds, p)
		}
	}
	g.ADDQ(operand.I32(9*g.bytes()), dst)
	g.ADDQ(operand.Imm(uint64(4*bits)), w)
	g.ADDQ(operand.Imm(4), s)
	g.JMP(operand.LabelRef(loop))
	g.Label(end)
	g.VZEROUPPER()
	g.RET()
}

// tileQuantised writes c += x·w for records of tiles and a panel. Without VPDPBUSD
// weights have 4 bits: then sums of a block fit 16.
func (g *gen) tileQuantised() {
	most := g.rows
	if g.floats == 8 {
		most = 4
	}
	g.function("tileQuantised", "(c *float32, ldc int, x *uint8, ldx int, w *uint8, m, blocks int)",
		"tileQuantised"+g.name+" adds the product of m rows of records x and a panel w to c.",
		fmt.Sprintf("Strides are in numbers, that of x in bytes. m is 1 to %d.", most))
	m := g.param("m")
	for i := 1; i <= most; i++ {
		g.CMPQ(m, operand.Imm(uint64(i)))
		g.JE(operand.LabelRef(fmt.Sprintf("rows%d", i)))
	}
	g.RET()
	for m := 1; m <= most; m++ {
		g.Label(fmt.Sprintf("rows%d", m))
		c, ldc := g.param("c"), g.stride("ldc", 4)
		x := g.rowsAt(g.param("x"), g.param("ldx"), m)
		w, k := g.param("w"), g.param("blocks")
		var ones reg.VecVirtual
		if g.floats == 8 {
			ones = g.broadcastBits(0x00010001)
		}
		sums, whole := g.vecs(m), g.vecs(m)
		p := g.copyOf(c)
		for i := range sums {
			g.VMOVUPS(operand.Mem{Base: p}, sums[i])
			g.ADDQ(ldc, p)
		}
		loop, end := g.label("blocks"), g.label("blocks")
		g.Label(loop)
		g.DECQ(k)
		g.JL(operand.LabelRef(end))
		for group := range 8 {
			v := g.vec()
			g.VMOVUPS(operand.Mem{Base: w, Disp: group * g.bytes()}, v)
			for i := range m {
				if g.floats == 16 {
					if group == 0 {
						g.VPBROADCASTD(x.row(i, 36), whole[i])
					}
					g.VPDPBUSD_BCST(x.row(i, 4*group), v, whole[i])
					continue
				}
				t := g.vec()
				g.VPBROADCASTD(x.row(i, 4*group), t)
				if group == 0 {
					g.VPMADDUBSW(t, v, whole[i])
				} else {
					g.VPMADDUBSW(t, v, t)
					g.VPADDW(t, whole[i], whole[i])
				}
			}
		}
		scale := g.vec()
		g.VMOVUPS(operand.Mem{Base: w, Disp: 8 * g.bytes()}, scale)
		for i := range m {
			by := g.vec()
			if g.floats == 8 {
				g.VPMADDWD(ones, whole[i], whole[i])
				g.VPBROADCASTD(x.row(i, 36), by)
				g.VPADDD(by, whole[i], whole[i])
				g.VBROADCASTSS(x.row(i, 32), by)
				g.VMULPS(scale, by, by)
			} else {
				g.VMULPS_BCST(x.row(i, 32), scale, by)
			}
			g.VCVTDQ2PS(whole[i], whole[i])
			g.VFMADD231PS(by, whole[i], sums[i])
		}
		g.advance(x, recordTile)
		g.ADDQ(operand.I32(9*g.bytes()), w)
		g.JMP(operand.LabelRef(loop))
		g.Label(end)
		for i := range sums {
			g.VMOVUPS(sums[i], operand.Mem{Base: c})
			g.ADDQ(ldc, c)
		}
		g.VZEROUPPER()
		g.RET()
	}
}
