package qwen25vl

import "fmt"

// section is an object of a side file. Members that are missing or null have
// defaults; those of another type are noted with the configuration.
type section struct {
	c    *Config
	path string // of the object, with a dot at its end
	m    map[string]any
}

func (s section) wrong(key, want string) {
	s.c.wrong = append(s.c.wrong, fmt.Errorf("%w: %s%s is %.40s, %s is needed", ErrConfig, s.path, key, found(s.m[key]), want))
}

func (s section) object(key string) section {
	m, ok := s.m[key].(map[string]any)
	if !ok && s.m[key] != nil {
		s.wrong(key, "an object")
	}
	return section{s.c, s.path + key + ".", m}
}

func (s section) number(key string, def float64) float64 {
	v, ok := s.m[key].(float64)
	switch {
	case ok:
		return v
	case s.m[key] != nil:
		s.wrong(key, "a number")
	}
	return def
}

func (s section) whole(key string, def int64) int64 {
	v := s.number(key, float64(def))
	if !(v >= -1<<31 && v < 1<<31) || v != float64(int64(v)) {
		s.wrong(key, "a whole number of 32 bits")
		return def
	}
	return int64(v)
}

// numbers reads a list of numbers.
func (s section) numbers(key string) []float64 {
	list, ok := s.m[key].([]any)
	if !ok && s.m[key] != nil {
		s.wrong(key, "a list of numbers")
	}
	var out []float64
	for _, x := range list {
		v, ok := x.(float64)
		if !ok {
			s.wrong(key, "a list of numbers")
			return nil
		}
		out = append(out, v)
	}
	return out
}

// ids reads a token or a list of tokens.
func (s section) ids(key string) []int32 {
	list := []float64{}
	if v, ok := s.m[key].(float64); ok {
		list = append(list, v)
	} else {
		list = s.numbers(key)
	}
	var out []int32
	for _, v := range list {
		if v != float64(int32(v)) {
			s.wrong(key, "a token id or a list of them")
			return nil
		}
		out = append(out, int32(v))
	}
	return out
}
