package demo

import (
	"fmt"
	"strings"
	"time"

	"heliograph/tools/pair"

	tea "charm.land/bubbletea/v2"
	"charm.land/lipgloss/v2"
)

// refresh is how often the screen is drawn.
const refresh = 500 * time.Millisecond

// Screen is the demo's live view. It implements tea.Model.
type Screen struct {
	demo             *Demo
	summary          Summary
	tx, rx           pair.Status
	txReady, rxReady bool
	repairs          []uint64 // of each refresh
	before           uint64   // repaired frames
	width            int
}

// NewScreen returns a screen of a running demo.
func NewScreen(d *Demo) *Screen { return &Screen{demo: d, width: 80} }

// sample is what the screen shows from one refresh to the next.
type sample struct {
	summary          Summary
	tx, rx           pair.Status
	txReady, rxReady bool
}

// Init implements tea.Model.
func (s *Screen) Init() tea.Cmd { return s.sample }

func (s *Screen) sample() tea.Msg {
	tx, rx := &s.demo.gateway.TX, &s.demo.gateway.RX
	return sample{s.demo.Summary(), s.demo.status(tx), s.demo.status(rx), tx.Ready() == nil, rx.Ready() == nil}
}

// Update implements tea.Model.
func (s *Screen) Update(msg tea.Msg) (tea.Model, tea.Cmd) {
	switch m := msg.(type) {
	case tea.WindowSizeMsg:
		s.width = m.Width
	case tea.KeyPressMsg:
		if k := m.String(); k == "ctrl+c" || k == "q" {
			return s, tea.Quit
		}
	case sample:
		s.summary, s.tx, s.rx, s.txReady, s.rxReady = m.summary, m.tx, m.rx, m.txReady, m.rxReady
		now := s.rx.Link.Repaired
		s.repairs = append(s.repairs, now-min(now, s.before))
		s.repairs = s.repairs[max(len(s.repairs)-sparkWidth, 0):]
		s.before = now
		return s, tea.Tick(refresh, func(time.Time) tea.Msg { return s.sample() })
	}
	return s, nil
}

const sparkWidth = 24

var (
	title  = lipgloss.NewStyle().Bold(true)
	dim    = lipgloss.NewStyle().Faint(true)
	good   = lipgloss.NewStyle().Foreground(lipgloss.Green)
	bad    = lipgloss.NewStyle().Foreground(lipgloss.Red).Bold(true)
	accent = lipgloss.NewStyle().Foreground(lipgloss.Cyan)
)

// View implements tea.Model.
func (s *Screen) View() tea.View {
	v := tea.NewView(s.String())
	v.AltScreen = true
	v.WindowTitle = "heliograph demo"
	return v
}

// String draws the screen: at most 80 columns and 24 lines.
func (s *Screen) String() string {
	var b strings.Builder
	d, l := s.demo, s.rx.Link
	fmt.Fprintf(&b, "%s  %s, %s loss, %s corruption  %s\n\n", title.Render("HELIOGRAPH demo"), d.Medium,
		percent(d.Loss), percent(d.Corrupt),
		dim.Render(time.Since(d.began).Round(time.Second).String()))
	fmt.Fprintf(&b, "  PLANT  %s  %s  %s  IT\n", s.state("heliotx", s.txReady), accent.Render("════ one way ═══▶"),
		s.state("heliorx", s.rxReady))
	fmt.Fprintf(&b, "  link   %d frames, %d repaired, %d bad CRC, %s beyond repair\n", l.Frames, l.Repaired,
		l.CRCErrors, count(l.Lost))
	fmt.Fprintf(&b, "  repairs %s   latency p50 %.1f ms, p99 %.1f ms\n\n", accent.Render(spark(s.repairs)),
		s.summary.Latency.P50, s.summary.Latency.P99)
	b.WriteString(dim.Render(fmt.Sprintf("  %-12s %9s %9s %7s %9s %8s  %s", "channel", "sent", "arrived", "lost",
		"disorder", "altered", "source")) + "\n")
	for _, name := range channelNames {
		c, tx, rx := s.summary.Channels[name], s.tx.Channels[name], s.rx.Channels[name]
		fmt.Fprintf(&b, "  %-12s %9d %9d %s %s %s  %s\n", name, c.Sent, c.Arrived,
			padded(rx.Lost, 7), padded(c.OutOfOrder, 9), padded(c.Altered, 8),
			clip(tx.SourceState+" "+tx.SourceReason, 26))
	}
	b.WriteString("\n" + dim.Render("  just crossed") + "\n")
	for _, name := range []string{channelNames[0], channelNames[2], channelNames[4]} {
		a := d.arrivals[name]
		a.mu.Lock()
		fmt.Fprintf(&b, "  %s\n", clip(a.recent, 76))
		a.mu.Unlock()
	}
	b.WriteString("\n" + dim.Render("  connect your own clients") + "\n")
	host, port, _ := strings.Cut(d.outputs[0], ":")
	fmt.Fprintf(&b, "  mosquitto_sub -V 5 -h %s -p %s -t '#' -v\n", host, port)
	host, port, _ = strings.Cut(d.inputs[0], ":")
	fmt.Fprintf(&b, "  mosquitto_pub -V 5 -h %s -p %s -t my/topic -r -m hello\n", host, port)
	fmt.Fprintf(&b, "  UaExpert: plant %s  IT %s\n", d.server.Endpoint, d.mirror)
	fmt.Fprintf(&b, "  status pages: plant http://127.0.0.1:%d  IT http://127.0.0.1:%d\n\n",
		d.gateway.TX.StatusPort, d.gateway.RX.StatusPort)
	b.WriteString(dim.Render("  q or Ctrl-C ends the demo"))
	return b.String()
}

func (s *Screen) state(name string, ready bool) string {
	if ready {
		return good.Render("● " + name)
	}
	return bad.Render("○ " + name)
}

func count(n uint64) string {
	if n == 0 {
		return good.Render("0")
	}
	return bad.Render(fmt.Sprint(n))
}

func padded(n uint64, width int) string {
	style := good
	if n > 0 {
		style = bad
	}
	return style.Render(fmt.Sprintf("%*d", width, n))
}

func percent(f float64) string { return fmt.Sprintf("%g%%", f*100) }

func clip(s string, width int) string {
	if r := []rune(s); len(r) > width {
		return string(r[:width-1]) + "…"
	}
	return s
}

// spark draws a line of bars.
func spark(values []uint64) string {
	bars := []rune("▁▂▃▄▅▆▇█")
	most := uint64(1)
	for _, v := range values {
		most = max(most, v)
	}
	var b strings.Builder
	for _, v := range values {
		b.WriteRune(bars[v*uint64(len(bars)-1)/most])
	}
	return fmt.Sprintf("%-*s", sparkWidth, b.String())
}

// Line is the demo in one line, where there is no terminal.
func (d *Demo) Line() string {
	s := d.Summary()
	var sent, arrived uint64
	for _, c := range s.Channels {
		sent, arrived = sent+c.Sent, arrived+c.Arrived
	}
	return fmt.Sprintf("%4.0f s  sent %d, arrived %d; link: %d frames, %d repaired, %d bad CRC, %d beyond repair; "+
		"latency p50 %.1f ms, p99 %.1f ms",
		s.DurationSeconds, sent, arrived, s.Link.Frames, s.Link.Repaired, s.Link.CRCErrors, s.Link.Lost, s.Latency.P50,
		s.Latency.P99)
}
