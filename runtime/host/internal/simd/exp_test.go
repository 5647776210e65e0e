package simd

import (
	"math"
	"testing"
)

func TestExp(t *testing.T) {
	for i := range 2_000_000 {
		x := -110 + float32(i)*1e-4
		got, want := float64(Exp(x)), math.Exp(float64(x))
		if float32(want) == 0 || want > math.MaxFloat32 {
			if float32(got) != float32(want) {
				t.Fatalf("exp(%v) = %v, want %v", x, got, float32(want))
			}
			continue
		}
		ulp := float64(math.Nextafter32(float32(want), math.MaxFloat32) - float32(want))
		if math.Abs(got-want) > ulp {
			t.Fatalf("exp(%v) = %v, want %v: off by %.2f ulp", x, got, want, math.Abs(got-want)/ulp)
		}
	}
	inf := float32(math.Inf(1))
	for _, k := range []struct{ x, want float32 }{{0, 1}, {inf, inf}, {-inf, 0}, {200, inf}, {-200, 0}} {
		if got := Exp(k.x); got != k.want {
			t.Errorf("exp(%v) = %v, want %v", k.x, got, k.want)
		}
	}
	if x := Exp(float32(math.NaN())); x == x {
		t.Errorf("exp(NaN) = %v", x)
	}
}
