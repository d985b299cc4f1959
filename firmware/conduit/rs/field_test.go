package rs

import (
	"testing"
)

func TestFieldAxioms(t *testing.T) {
	for a := range 256 {
		a := byte(a)
		if a != 0 && mul(a, inv(a)) != 1 {
			t.Fatalf("%d · 1/%d = %d, want 1", a, a, mul(a, inv(a)))
		}
		for b := range 256 {
			b := byte(b)
			c := a*31 + b*17 + 5
			if mul(a, b) != mul(b, a) || mul(a, mul(b, c)) != mul(mul(a, b), c) || mul(a, b^c) != mul(a, b)^mul(a, c) {
				t.Fatalf("the axioms do not hold for %d, %d, %d", a, b, c)
			}
		}
	}
}
