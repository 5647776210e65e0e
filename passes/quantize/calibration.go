package quantize

// calibration hands out the statistics of inputs, each made when the first product
// needs it.
type calibration struct {
	run  Calibrator
	all  []*statistics // in the order in which they are needed
	at   map[Input]*statistics
	name []Input
}

func newCalibration(run Calibrator) *calibration {
	return &calibration{run: run, at: map[Input]*statistics{}}
}

// of returns the statistics of what a site reads.
func (c *calibration) of(s *site) *statistics {
	in := Input{s.phase, s.n.In(0).Name}
	x := c.at[in]
	if x == nil {
		x = &statistics{size: s.m.cols, fetch: c.fetch}
		c.at[in] = x
		c.all, c.name = append(c.all, x), append(c.name, in)
	}
	x.users++
	return x
}

// most is how many bytes of sums one run of the model may fill, beyond the first.
const most = 256 << 20

// fetch runs the model for one input and for those that will be needed next, as
// many as fit.
func (c *calibration) fetch(first *statistics) error {
	var inputs []Input
	var stats []*statistics
	bytes := 0
	for i, s := range c.all {
		size := 4 * s.size * s.size
		if s != first && (len(stats) == 0 || s.sums != nil || s.factor != nil || s.users == 0 || bytes+size > most) {
			continue
		}
		inputs, stats = append(inputs, c.name[i]), append(stats, s)
		bytes += size
	}
	return c.run(inputs, func(i int, rows []float32) error {
		stats[i].add(rows)
		return nil
	})
}
