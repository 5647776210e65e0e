package simd

// tileSide is how many rows a tile has, and how many pairs of bfloat16 numbers or fours of
// bytes a row.
const tileSide = 16

// onTiles cuts a product of m rows, k fours of bytes deep, whose sums take two tiles of
// columns at most, into what one call of the assembly does, and has f do each: blocks of
// tiles of rows from row i on, so many steps from p on.
func onTiles(m, k, cols int, f func(i, p, steps, blocks, shape int, config tiling)) {
	for i := 0; i < m; {
		blocks, high := (m-i)/(2*tileSide), 2*tileSide
		if blocks == 0 {
			blocks, high = 1, m-i
		}
		for p := 0; p < k; {
			steps, deep := (k-p)/tileSide, tileSide
			if steps == 0 {
				steps, deep = 1, k-p
			}
			config, shape := tileConfig(high, cols, deep)
			f(i, p, steps, blocks, shape, config)
			p += steps * deep
		}
		i += blocks * high
	}
}

// tiling is what LDTILECFG loads.
type tiling [64]uint8

// set gives a tile rows of so many numbers of 32 bits; without either it is not used.
func (t *tiling) set(tile, rows, cols int) {
	t[0] = 1 // the only palette
	if rows > 0 && cols > 0 {
		t[16+2*tile], t[48+tile] = uint8(4*cols), uint8(rows)
	}
}

// tileConfig returns what configures tiles for sums of rows×cols, of two tiles each at
// most, with factors so many pairs deep; and the shape that the assembly wants.
func tileConfig(rows, cols, deep int) (config tiling, shape int) {
	high, wide := [2]int{min(rows, tileSide), max(0, rows-tileSide)}, [2]int{min(cols, tileSide), max(0, cols-tileSide)}
	for i := range 2 {
		for j := range 2 {
			config.set(2*i+j, high[i], wide[j])
		}
		config.set(4+i, high[i], deep)
		config.set(6+i, deep, wide[i])
	}
	if cols <= tileSide {
		shape |= 1
	}
	if rows <= tileSide {
		shape |= 2
	}
	return config, shape
}

// blocksConfig is what configures tiles for products of so many rows of records and a panel.
func blocksConfig(rows int) (config tiling) {
	for i := range 2 { // two blocks are on their way
		config.set(i, rows, tileSide)
		config.set(4+i, rows, Block/4)
		config.set(6+i, Block/4, tileSide)
	}
	return config
}
