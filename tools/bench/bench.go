package bench

import (
	"context"
	"fmt"
	"io"
	"math"
	"runtime"
	"strings"
)

// Figure is one thing measured.
type Figure struct {
	Name   string  `json:"name"`
	Value  float64 `json:"value"`
	Unit   string  `json:"unit"`
	Budget float64 `json:"budget"`
	AtMost bool    `json:"at_most"` // the budget is an upper bound
	Note   string  `json:"note,omitempty"`
}

// Ratio is how well the budget is met: 1 is just so, more is better.
func (f Figure) Ratio() float64 {
	switch {
	case !f.AtMost:
		return f.Value / f.Budget
	case f.Value == 0:
		return math.Inf(1)
	}
	return f.Budget / f.Value
}

// Report is one run.
type Report struct {
	Machine string   `json:"machine"`
	Figures []Figure `json:"figures"`
}

// group is a measurement that gives one or more figures.
type group struct {
	name string
	run  func() ([]Figure, error)
}

func groups() []group {
	return []group{
		{"goodput", goodput}, {"events", events}, {"state", stateRate}, {"wire", wireBytes}, {"latency", latency},
		{"residual", residual}, {"bursts", bursts},
		{"corruption", corruption}, {"repair", repair}, {"uart", uartGoodput}, {"join", join}, {"memory", memory},
		{"opcua", opcuaWhole}, {"clients", opcuaClients},
		{"overload", overloads}, {"heal", heal},
	}
}

// Groups returns the names of what Run can measure alone.
func Groups() (names []string) {
	for _, g := range groups() {
		names = append(names, g.name)
	}
	return names
}

// Run measures all groups, or the one called only. It says which one before it measures it.
// When ctx ends it returns at once: the group that is measured goes on until the program ends.
func Run(ctx context.Context, only string, measuring func(name string)) (Report, error) {
	r := Report{Machine: fmt.Sprintf("%s/%s, %d processors, %s", runtime.GOOS, runtime.GOARCH, runtime.NumCPU(),
		runtime.Version())}
	for _, g := range groups() {
		if only != "" && only != g.name {
			continue
		}
		measuring(g.name)
		f, err := g.measure(ctx)
		if err != nil {
			return r, err
		}
		r.Figures = append(r.Figures, f...)
	}
	if len(r.Figures) == 0 {
		return r, fmt.Errorf("bench: nothing is called %q; there are %s", only, strings.Join(Groups(), ", "))
	}
	return r, nil
}

func (g group) measure(ctx context.Context) (figures []Figure, err error) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		figures, err = g.run()
	}()
	select {
	case <-done:
		return figures, err
	case <-ctx.Done():
		return nil, fmt.Errorf("bench: interrupted while %s was measured", g.name)
	}
}

// Table writes a report for people.
func (r Report) Table(w io.Writer) {
	fmt.Fprintf(w, "%s\n%-34s %14s  %-12s %10s  %s\n", r.Machine, "figure", "value", "unit", "budget", "of the budget")
	for _, f := range r.Figures {
		bound := "≥"
		if f.AtMost {
			bound = "≤"
		}
		verdict := fmt.Sprintf("%.2f", f.Ratio())
		if math.IsInf(f.Ratio(), 1) {
			verdict = "met"
		}
		fmt.Fprintf(w, "%-34s %14.4g  %-12s %s%9.4g  %s  %s\n", f.Name, f.Value, f.Unit, bound, f.Budget, verdict,
			f.Note)
	}
}

// tolerance is how much worse than the baseline a figure may be. Machines
// that are shared are noisy; twice as bad is not noise.
const tolerance = 2

// Regressions compares a run with a baseline and says what got worse.
func (r Report) Regressions(baseline Report) (out []string) {
	before := map[string]Figure{}
	for _, f := range baseline.Figures {
		before[f.Name] = f
	}
	for _, f := range r.Figures {
		b, ok := before[f.Name]
		if !ok {
			continue
		}
		worse := b.Value > tolerance*f.Value
		if f.AtMost {
			worse = f.Value > tolerance*b.Value && f.Value > f.Budget
		}
		if worse {
			out = append(out, fmt.Sprintf("%s: %.4g %s, baseline %.4g", f.Name, f.Value, f.Unit, b.Value))
		}
	}
	return out
}
