package onnx

import "strconv"

// decoder holds the state of decoding one model.
type decoder struct {
	o        Options
	file     string // the model's own file, as Tensor.Source names it
	external externalFiles

	part  int64 // bytes of the file that are not raw weights
	taken int64 // bytes of memory that the graph takes so far

	nodeCount, tensors, attrs int

	functions map[functionKey]*function
	inlining  bool            // inside a call, whose nodes may be decoded more than once
	names     namer           // of all values so far
	symbols   namer           // the stems of symbols
	generated map[string]bool // the names of inlined functions' values
}

func newDecoder(file string, size int64, o Options) *decoder {
	return &decoder{
		o: o, file: file, part: size,
		external:  externalFiles{dir: o.ExternalDir, links: o.AllowLinks, open: map[string]*dataFile{}},
		functions: map[functionKey]*function{},
		names:     namer{},
		symbols:   namer{},
		generated: map[string]bool{},
	}
}

// namer holds the names in use, each with the number that a further name like
// it may get.
type namer map[string]int

// claim marks a name as used.
func (n namer) claim(name string) {
	if n[name] == 0 {
		n[name] = 2
	}
}

// fresh returns a name that is not in use: stem, or stem~2 and so on.
func (n namer) fresh(stem string) string {
	name := stem
	for i := n[stem]; n[name] != 0; i++ {
		name = stem + "~" + strconv.Itoa(i)
		n[stem] = i + 1
	}
	n[name] = 2
	return name
}

// budget returns how many bytes decoding may take beyond the file.
func (d *decoder) budget() int64 {
	if d.o.MaxMemory > 0 {
		return d.o.MaxMemory
	}
	return 2*d.part + 64<<20
}

// room checks that n more bytes may be taken for a while.
func (d *decoder) room(n int64) error {
	if limit := d.budget(); d.taken+n > limit {
		return limited("the model needs more than %d bytes of memory besides its weights", limit)
	}
	return nil
}

// take counts n bytes that stay.
func (d *decoder) take(n int64) error {
	if err := d.room(n); err != nil {
		return err
	}
	d.taken += n
	return nil
}

// one counts a node, tensor or attribute against its limit, and the memory it
// takes.
func (d *decoder) one(what string, count *int, limit int, bytes int64) error {
	if *count++; *count > limit {
		return limited("more than %d %s", limit, what)
	}
	return d.take(bytes)
}

// name checks a name from the file.
func (d *decoder) name(s string) error {
	if len(s) > d.o.MaxName {
		return limited("name %s: the limit is %d bytes", quote(s), d.o.MaxName)
	}
	return d.take(int64(len(s)))
}
