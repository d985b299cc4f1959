package bench

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"heliograph/tools/overload"
)

// overloads floods a pair of roles, built beside this program, in every way that
// package overload measures.
func overloads() ([]Figure, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("bench: %v", err)
	}
	results, peaks, err := overload.Run(filepath.Dir(self), io.Discard)
	var figures []Figure
	for _, r := range results {
		figures = append(figures, Figure{Name: "beside " + r.Name, Value: r.Ratio(), Unit: "of alone", Budget: 0.8,
			Note: fmt.Sprintf("%s; %.4g/s alone, %.4g/s beside", r.Note, r.Alone, r.Beside)})
	}
	for _, p := range peaks {
		budget := 250.0
		if strings.HasSuffix(p.Role, "tx") {
			budget = 150
		}
		figures = append(figures, Figure{Name: p.Role + " memory under floods", Value: float64(p.Bytes) / 1e6,
			Unit: "MB", Budget: budget, AtMost: true, Note: "peak of the resident set over all floods"})
	}
	return figures, err
}
