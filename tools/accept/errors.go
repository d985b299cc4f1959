package accept

import "math"

// Errors is how often frames and bits are wrong. An upper bound holds with 95 %: what a
// short measurement did not see may be there all the same.
type Errors struct {
	FrameRate  float64 `json:"frame_error_rate"`
	FrameUpper float64 `json:"frame_error_rate_upper"`
	BitRate    float64 `json:"bit_error_rate"`
	BitUpper   float64 `json:"bit_error_rate_upper"`
	Basis      string  `json:"basis"` // of the bit errors
}

// EstimateErrors returns the rates of a window. A frame that the kernel dropped was not damaged.
func EstimateErrors(medium string, w *Window) Errors {
	wrong := float64(w.Missing - min(w.Missing, w.Dropped))
	e := Errors{Basis: "one wrong bit for each frame that did not arrive: the card drops damaged ones"}
	e.FrameRate, e.FrameUpper = rates(wrong, float64(w.Expected))
	bits, errors := 8*float64(w.Bytes), wrong
	if w.Frames > 0 {
		bits *= float64(w.Expected) / float64(w.Frames)
	}
	if medium == "uart" {
		bits = 8 * float64(w.Bytes)
		errors = float64(w.Corrected) + wrong
		e.Basis = "one wrong bit for each byte that the line's code corrected, and for each frame that did not arrive"
	}
	e.BitRate, e.BitUpper = rates(errors, bits)
	return e
}

// rates returns the share of errors among all, and its upper bound; both are 0 of nothing.
func rates(errors, all float64) (rate, upper float64) {
	if all <= 0 {
		return 0, 0
	}
	return min(errors/all, 1), min(poissonUpper(errors)/all, 1)
}

// poissonUpper returns the largest mean that gives no more than n events with 5 %: half the
// 95 % quantile of χ² with 2n+2 degrees of freedom, by Wilson and Hilferty's formula.
func poissonUpper(n float64) float64 {
	const z = 1.6449 // 95 % quantile of the normal distribution
	k := 2*n + 2
	a := 2 / (9 * k)
	return k / 2 * math.Pow(1-a+z*math.Sqrt(a), 3)
}
