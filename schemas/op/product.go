package op

import (
	"fmt"
	"mnnconv/graph"
)

// floating holds the types that operators on floats compute in: float32 for
// 16- and 32-bit elements, float64 for float64.
type floating interface{ float32 | float64 }

// ring holds the types that sums of products are computed in.
type ring interface {
	floating | int32 | int64 | uint32 | uint64
}

// addProduct adds the m×k matrix a times the k×n matrix b to the m×n matrix c,
// all dense and row-major. The loop order i-k-j reads b and writes c row by row;
// every element sums over k in ascending order.
func addProduct[T ring](c, a, b []T, m, k, n int) {
	for i := range m {
		row := c[i*n:][:n]
		for p, x := range a[i*k:][:k] {
			for j, y := range b[p*n:][:n] {
				row[j] += T(x * y) // the conversion keeps compilers from fusing: the same bits everywhere
			}
		}
	}
}

// dots stores the products of x with each of n rows in s. Row j starts at
// rows[j*stride] and is as long as x. Four sums run side by side, since a single
// one waits for each addition; each is in ascending order.
func dots[T ring](s, x, rows []T, stride, n int) {
	j := 0
	for ; j+4 <= n; j += 4 {
		r0, r1 := rows[j*stride:][:len(x)], rows[(j+1)*stride:][:len(x)]
		r2, r3 := rows[(j+2)*stride:][:len(x)], rows[(j+3)*stride:][:len(x)]
		var s0, s1, s2, s3 T
		for p, v := range x {
			s0 += T(v * r0[p])
			s1 += T(v * r1[p])
			s2 += T(v * r2[p])
			s3 += T(v * r3[p])
		}
		s[j], s[j+1], s[j+2], s[j+3] = s0, s1, s2, s3
	}
	for ; j < n; j++ {
		var sum T
		for p, v := range rows[j*stride:][:len(x)] {
			sum += T(x[p] * v)
		}
		s[j] = sum
	}
}

// transposed returns the n×m transpose of an m×n matrix.
func transposed[T any](a []T, m, n int) []T {
	t := make([]T, m*n)
	for i := range m {
		for j, v := range a[i*n:][:n] {
			t[j*m+i] = v
		}
	}
	return t
}

// elementsAs returns the elements of t as T, the type to compute in: a view
// where t stores T, else a widened copy.
func elementsAs[T ring](t *graph.Tensor) ([]T, error) {
	var zero T
	switch any(zero).(type) {
	case float32:
		v, err := t.Float32s()
		return any(v).([]T), err
	case float64:
		if t.DType != graph.Float64 {
			v, err := t.Float32s()
			wide := make([]T, len(v))
			for i, x := range v {
				wide[i] = T(x)
			}
			return wide, err
		}
	}
	if stores[T](t.DType) {
		return graph.View[T](t), nil
	}
	return nil, fmt.Errorf("%w: %s tensor where %T is needed", graph.ErrType, t.DType, zero)
}

// accumulator returns the buffer in which the zeroed tensor t is computed: its
// own memory where it stores T. finish rounds it into t.
func accumulator[T ring](t *graph.Tensor) []T {
	if stores[T](t.DType) {
		return graph.View[T](t)
	}
	return make([]T, t.Len())
}

// finish stores v, which came from accumulator, in t.
func finish[T ring](t *graph.Tensor, v []T) error {
	if stores[T](t.DType) {
		return nil
	}
	if v, ok := any(v).([]float32); ok {
		return t.SetFloat32s(v)
	}
	if v, ok := any(v).([]float64); ok {
		return storeFloats(t, v)
	}
	return undefinedFor(t.DType)
}

// roundTo rounds every v to a number of dtype d, for operators that are defined
// with a rounding before the last one.
func roundTo[T floating](d graph.DType, v []T) {
	switch d {
	case graph.Float16:
		for i, x := range v {
			v[i] = T(graph.F16ToF32(graph.F32ToF16(float32(x))))
		}
	case graph.BFloat16:
		for i, x := range v {
			v[i] = T(graph.BF16ToF32(graph.F32ToBF16(float32(x))))
		}
	}
}

// stores reports whether elements of dtype d are Ts in memory.
func stores[T ring](d graph.DType) bool {
	var zero T
	switch any(zero).(type) {
	case float32:
		return d == graph.Float32
	case float64:
		return d == graph.Float64
	case int32:
		return d == graph.Int32
	case int64:
		return d == graph.Int64
	case uint32:
		return d == graph.Uint32
	}
	return d == graph.Uint64
}

// undefinedFor returns the error for a dtype that an operator is not defined on.
func undefinedFor(d graph.DType) error {
	return fmt.Errorf("not defined for %s: %w", d, ErrUnsupported)
}
