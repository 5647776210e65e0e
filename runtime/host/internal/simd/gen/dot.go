package main

import (
	"strconv"

	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// stored is a type that numbers are stored in: floats, or codes of 8 bits.
type stored struct {
	name, goType string
	size         int
}

var storedTypes = []stored{{"F32", "float32", 4}, {"F16", "uint16", 2}, {"BF16", "uint16", 2}, {"I8", "int8", 1}}

// load widens one vector of numbers. A mask of the lanes that count may be given.
func (g *gen) load(s stored, from operand.Mem, to reg.VecVirtual, mask *reg.OpmaskVirtual) {
	switch {
	case s.name == "F32" && mask != nil:
		g.VMOVUPS_Z(from, *mask, to)
	case s.name == "F32":
		g.VMOVUPS(from, to)
	case s.name == "F16" && mask != nil:
		g.VCVTPH2PS_Z(from, *mask, to)
	case s.name == "F16":
		g.VCVTPH2PS(from, to)
	case s.name == "I8":
		if mask != nil {
			g.VPMOVSXBD_Z(from, *mask, to)
		} else {
			g.VPMOVSXBD(from, to)
		}
		g.VCVTDQ2PS(to, to)
	default:
		if mask != nil {
			g.VPMOVZXWD_Z(from, *mask, to)
		} else {
			g.VPMOVZXWD(from, to)
		}
		g.VPSLLD(operand.Imm(16), to, to)
	}
}

// loadOne widens one number into lane 0.
func (g *gen) loadOne(s stored, from operand.Mem, to reg.VecVirtual) {
	if s.name == "F32" {
		g.VMOVSS(from, to.AsX())
		return
	}
	r := g.GP32()
	if s.name == "I8" {
		g.MOVBLSX(from, r)
		g.VMOVD(r, to.AsX())
		g.VCVTDQ2PS(to.AsX(), to.AsX())
		return
	}
	g.MOVWLZX(from, r)
	if s.name == "BF16" {
		g.SHLL(operand.Imm(16), r)
	}
	g.VMOVD(r, to.AsX())
	if s.name == "F16" {
		g.VCVTPH2PS(to.AsX(), to.AsX())
	}
}

// dots writes c += a·wᵀ for w in each type: one vector of sums for each product,
// whose lanes are added at the end. A sum's bits depend on k alone.
func dots(g *gen) {
	for _, s := range storedTypes {
		g.function("dot"+s.name, "(c *float32, ldc int, a *float32, lda int, w *"+s.goType+", ldw, m, n, k int)",
			"dot"+s.name+g.name+" adds the products of m rows of a and n rows of w, k numbers long, to c.",
			"Strides are in numbers. m is 1, 2 or 4.")
		g.byRows(
			func() { g.dotOf(s, 1, 8) },
			func() { g.dotOf(s, 2, 4) },
			func() { g.dotOf(s, 4, g.floats/4) })
	}
}

// dotOf writes the loop over columns for m rows, n columns at a time and then one
// by one.
func (g *gen) dotOf(s stored, m, n int) {
	c, ldc := g.param("c"), g.stride("ldc", 4)
	lda := g.stride("lda", 4)
	w, ldw := g.param("w"), g.stride("ldw", s.size)
	for _, wide := range []int{n, 1} {
		loop, end := g.label("columns"), g.label("columns")
		g.Label(loop)
		left := g.memory("n")
		g.CMPQ(left, operand.Imm(uint64(wide)))
		g.JL(operand.LabelRef(end))
		g.SUBQ(operand.Imm(uint64(wide)), left)
		k := g.param("k")
		a, b := g.rowsAt(g.param("a"), lda, m), g.rowsAt(w, ldw, wide)
		sums := g.vecs(m * wide)
		for _, v := range sums {
			g.VXORPS(v, v, v)
		}
		next := g.GP64()
		g.LEAQ(operand.Mem{Base: w, Disp: ahead}, next)
		g.along(k, func(mask *reg.OpmaskVirtual) {
			x := g.vecs(m)
			for i := range m {
				g.load(storedTypes[0], a.row(i, 0), x[i], mask)
			}
			for at := 0; at < wide*g.floats*s.size; at += 64 {
				g.PREFETCHT0(operand.Mem{Base: next, Disp: at})
			}
			g.ADDQ(operand.I32(wide*g.floats*s.size), next)
			for j := range wide {
				v := g.vec()
				g.load(s, b.row(j, 0), v, mask)
				for i := range m {
					g.VFMADD231PS(v, x[i], sums[i*wide+j])
				}
			}
			g.advance(a, g.bytes())
			g.advance(b, g.floats*s.size)
		})
		out := g.copyOf(c)
		for i := range m {
			for j := 0; j < wide; j += 4 {
				some := min(4, wide-j)
				total := g.sum(sums[i*wide+j : i*wide+j+some])
				g.addTo(operand.Mem{Base: out, Disp: 4 * j}, total, some)
			}
			g.ADDQ(ldc, out)
		}
		if g.floats == 8 {
			g.oneByOne(k, func() {
				for j := range wide {
					v := g.vec()
					g.loadOne(s, b.row(j, 0), v)
					out := g.copyOf(c)
					for i := range m {
						t, x := g.XMM(), g.XMM()
						at := operand.Mem{Base: out, Disp: 4 * j}
						g.VMOVSS(at, t)
						g.VMOVSS(a.row(i, 0), x)
						g.VFMADD231SS(x, v.AsX(), t)
						g.VMOVSS(t, at)
						g.ADDQ(ldc, out)
					}
				}
				g.advance(a, 4)
				g.advance(b, s.size)
			})
		}
		g.ADDQ(operand.Imm(uint64(4*wide)), c)
		for range wide {
			g.ADDQ(ldw, w)
		}
		g.JMP(operand.LabelRef(loop))
		g.Label(end)
	}
	g.VZEROUPPER()
	g.RET()
}

// along writes a loop over k numbers, a vector at a time, with a mask for the
// last ones where the level has masks; else k is left as what remains.
func (g *gen) along(k reg.GPVirtual, step func(mask *reg.OpmaskVirtual)) {
	loop, rest, end := g.label("along"), g.label("along"), g.label("along")
	g.SUBQ(operand.Imm(uint64(g.floats)), k)
	g.JL(operand.LabelRef(rest))
	g.Label(loop)
	step(nil)
	g.SUBQ(operand.Imm(uint64(g.floats)), k)
	g.JGE(operand.LabelRef(loop))
	g.Label(rest)
	g.ADDQ(operand.Imm(uint64(g.floats)), k)
	if g.floats == 16 {
		g.JZ(operand.LabelRef(end))
		mask := g.tail(k)
		step(&mask)
		g.Label(end)
	}
}

// oneByOne writes a loop over what along left.
func (g *gen) oneByOne(k reg.GPVirtual, step func()) {
	loop, end := g.label("one"), g.label("one")
	g.Label(loop)
	g.TESTQ(k, k)
	g.JZ(operand.LabelRef(end))
	step()
	g.DECQ(k)
	g.JMP(operand.LabelRef(loop))
	g.Label(end)
}

// addTo adds the first n = 1, 2 or 4 lanes to memory.
func (g *gen) addTo(at operand.Mem, v reg.Register, n int) {
	t := g.XMM()
	switch n {
	case 4:
		g.VADDPS(at, v, t)
		g.VMOVUPS(t, at)
	case 2:
		g.VMOVSD(at, t)
		g.VADDPS(v, t, t)
		g.VMOVSD(t, at)
	case 1:
		g.VADDSS(at, v, t)
		g.VMOVSS(t, at)
	default:
		panic("sums of " + strconv.Itoa(n) + " lanes")
	}
}
