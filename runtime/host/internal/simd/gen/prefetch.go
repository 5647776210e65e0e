package main

import "github.com/mmcloughlin/avo/operand"

// prefetch writes a request for rows of memory that are wanted soon, which the processor does not
// guess where many rows are read side by side.
func prefetch(g *gen) {
	g.function("prefetch", "(w *uint8, ldw, rows, lines int)",
		"prefetch"+g.name+" asks for so many lines of each row of w. ldw is in bytes.")
	w, ldw, rows, lines := g.param("w"), g.param("ldw"), g.param("rows"), g.param("lines")
	row, line := g.label("row"), g.label("line")
	g.Label(row)
	at, left := g.copyOf(w), g.copyOf(lines)
	g.Label(line)
	g.PREFETCHT1(operand.Mem{Base: at})
	g.ADDQ(operand.Imm(64), at)
	g.DECQ(left)
	g.JNZ(operand.LabelRef(line))
	g.ADDQ(ldw, w)
	g.DECQ(rows)
	g.JNZ(operand.LabelRef(row))
	g.RET()
}
