package accept

import (
	"bytes"
	_ "embed"
	"fmt"
	"html/template"
	"time"
)

//go:embed report.html
var pageText string

// Page returns the report as one HTML file, which takes nothing from elsewhere and runs no
// script.
func Page(r *Report) ([]byte, error) {
	t, err := template.New("report").Funcs(template.FuncMap{
		"percent":  Percent,
		"duration": duration,
		"time":     func(t time.Time) string { return t.UTC().Format(time.DateTime) + " UTC" },
		"date":     func(t time.Time) string { return t.UTC().Format(time.DateOnly) },
		"level":    cssClass,
		"rate":     rateWords,
		"small":    small,
		"receipt":  receipt,
		"colons":   colons,
		"total":    total,
		"p":        func(q float64) string { return duration(quantile(r.Window.Delay, q)) },
		"frames": func() template.HTML {
			return lines("Frames that arrived", "1/s", r.Series, line{"frames", "a",
				func(p Point) float64 { return p.Frames }})
		},
		"losses": func() template.HTML {
			return lines("Frames missing, repaired, lost beyond repair, dropped by RX", "1/s", r.Series,
				line{"missing", "b", func(p Point) float64 { return p.Missing }},
				line{"repaired", "a", func(p Point) float64 { return p.Repaired }},
				line{"lost beyond repair", "c", func(p Point) float64 { return p.Lost }},
				line{"dropped by RX", "d", func(p Point) float64 { return p.Dropped }})
		},
		"delays": func() template.HTML {
			return lines("Longest delay of a heartbeat beyond the quickest", "ms", r.Series,
				line{"delay", "a", func(p Point) float64 { return 1000 * p.Delay }})
		},
		"bursts": func() template.HTML {
			return bars("Runs of missing frames", "by frames at most", r.Window.Bursts, short,
				float64(r.Limits.Short))
		},
		"delayed": func() template.HTML {
			return bars("Heartbeats by their delay", "by ms at most", r.Window.Delay,
				func(s float64) string { return short(1000 * s) }, 0)
		},
	}).Parse(pageText)
	if err != nil {
		return nil, fmt.Errorf("accept: page template: %w", err)
	}
	var out bytes.Buffer
	if err := t.Execute(&out, r); err != nil {
		return nil, fmt.Errorf("accept: page: %w", err)
	}
	return out.Bytes(), nil
}

// cssClass is how the style sheet calls a level.
func cssClass(l Level) string {
	if l == NotDone {
		return "notdone"
	}
	return string(l)
}

// small writes a rate that is far below 1.
func small(rate float64) string {
	if rate == 0 {
		return "none seen"
	}
	return fmt.Sprintf("%.1e", rate)
}

// rateWords writes bytes a second as a link's configuration does.
func rateWords(bytesPerSecond float64, medium string) string {
	switch {
	case bytesPerSecond <= 0:
		return "not known"
	case medium == "uart":
		return fmt.Sprintf("%.0f baud", 10*bytesPerSecond)
	}
	return fmt.Sprintf("%.3g Mbit/s", 8*bytesPerSecond/1e6)
}

// colons breaks hexadecimal digits into groups that can be compared by eye.
func colons(digits string) string {
	var out []byte
	for i := range len(digits) {
		if i > 0 && i%4 == 0 {
			out = append(out, ' ')
		}
		out = append(out, digits[i])
	}
	return string(out)
}
