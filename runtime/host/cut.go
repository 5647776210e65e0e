package host

// cut divides n things into parts of each, the last one of what is left.
type cut struct{ n, each int }

// cutBy cuts n things so that a part costs some ten microseconds. The cost of
// one is given in numbers that pass through a processor.
func cutBy(n, cost int) cut { return cut{n, max(1, 16<<10/max(1, cost))} }

// parts returns how many there are.
func (c cut) parts() int { return (c.n + c.each - 1) / c.each }

// part returns the first thing of part i and the one after its last.
func (c cut) part(i int) (from, to int) { return i * c.each, min((i+1)*c.each, c.n) }
