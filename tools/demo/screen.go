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
	width, height    int
}

// NewScreen returns a screen of a running demo.
func NewScreen(d *Demo) *Screen { return &Screen{demo: d, width: 80, height: 24} }

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
	summary := s.demo.Summary()
	txSays, rxSays := s.demo.look()
	return sample{summary, txSays, rxSays, tx.Ready() == nil, rx.Ready() == nil}
}

// Update implements tea.Model.
func (s *Screen) Update(msg tea.Msg) (tea.Model, tea.Cmd) {
	switch m := msg.(type) {
	case tea.WindowSizeMsg:
		s.width, s.height = m.Width, m.Height
	case tea.KeyPressMsg:
		switch m.String() {
		case "ctrl+c", "q":
			return s, tea.Quit
		case "c":
			s.demo.Toggle()
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

// String draws the screen, in the width and height of the terminal. Where there is no room
// for all, the outage goes before what just crossed, and that before how to connect.
func (s *Screen) String() string {
	lines := append(s.head(), s.table()...)
	help := []string{"", dim.Render("  c cuts the link, c joins it again   q or Ctrl-C ends the demo")}
	for _, block := range [][]string{s.outage(), s.crossed(), s.clients()} {
		room := s.height - len(lines) - len(help)
		if room >= 3 { // an empty line, a title and one line
			lines = append(lines, block[:min(len(block), room)]...)
		}
	}
	return strings.Join(append(lines, help...), "\n")
}

// head is the link and both roles.
func (s *Screen) head() []string {
	d, l := s.demo, s.rx.Link
	wire := accent.Render("════ one way ═══▶")
	if o := d.seen(); o != nil && o.ended.IsZero() {
		wire = bad.Render("════ CUT ══╳    ▶")
	}
	return []string{
		fmt.Sprintf("%s  %s, %s loss, %s corruption  %s", title.Render("HELIOGRAPH demo"), d.Medium, percent(d.Loss),
			percent(d.Corrupt), dim.Render(time.Since(d.began).Round(time.Second).String())),
		"",
		fmt.Sprintf("  PLANT  %s  %s  %s  IT", s.state("heliotx", s.txReady), wire, s.state("heliorx", s.rxReady)),
		fmt.Sprintf("  link   %d frames, %d repaired, %d bad CRC, %s beyond repair", l.Frames, l.Repaired, l.CRCErrors,
			count(l.Lost)),
		fmt.Sprintf("  repairs %s   latency p50 %.1f ms, p99 %.1f ms", accent.Render(spark(s.repairs)),
			s.summary.Latency.P50, s.summary.Latency.P99),
		"",
	}
}

// table is the account of every channel, and of all.
func (s *Screen) table() []string {
	const columns = "  %-12s %8s %10s %8s %10s %s %s  %s"
	lines := []string{dim.Render(fmt.Sprintf(columns, "channel", "sent", "=delivered", "(healed)", "+conflated",
		"  +lost", "+unknown", "source"))}
	row := func(name string, c ChannelSummary, rest string) {
		lines = append(lines, fmt.Sprintf(columns, name, grouped(c.Sent), grouped(c.Arrived), grouped(c.Healed),
			grouped(c.Conflated), padded(c.Lost-c.underWay, 7), padded(c.Unknown, 8), rest))
	}
	for _, name := range channelNames {
		tx := s.tx.Channels[name]
		source := good.Render("● ") + clip(tx.SourceReason, max(6, s.width-74))
		if tx.SourceState != "up" {
			source = bad.Render(clip("○ "+tx.SourceState+" "+tx.SourceReason, max(8, s.width-72)))
		}
		row(name, s.summary.Channels[name], source)
	}
	t := s.summary.total()
	o, rest := s.demo.seen(), ""
	switch n := "+" + grouped(t.underWay); {
	case o != nil && o.ended.IsZero():
		rest = bad.Render(n + " cut")
	case t.underWay > 0:
		rest = dim.Render(n + " coming")
	}
	row("all", t, rest)
	return lines
}

// outage is the newest one, and what became of each channel's hole.
func (s *Screen) outage() []string {
	o := s.demo.seen()
	if o == nil {
		return nil
	}
	head, list := o.lines(time.Now(), s.demo.sent(), s.rx)
	style := title
	if o.ended.IsZero() {
		style = bad
	}
	lines := []string{"", "  " + style.Render(clip(head, s.width-2))}
	for _, l := range append(list, s.demo.historyLine()) {
		lines = append(lines, clip("  "+l, s.width))
	}
	return lines
}

// crossed is what came out last.
func (s *Screen) crossed() []string {
	t := s.summary.total()
	lines := []string{"", dim.Render("  just crossed") + fmt.Sprintf("; of all that did, %s altered, %s out of order",
		count(t.Altered), count(t.OutOfOrder))}
	for _, name := range []string{channelNames[0], channelNames[2], channelNames[4]} {
		a := s.demo.arrivals[name]
		a.mu.Lock()
		lines = append(lines, "  "+clip(a.recent, s.width-4))
		a.mu.Unlock()
	}
	if s.demo.seen() == nil {
		lines = append(lines, "  "+clip(s.demo.historyLine(), s.width-2))
	}
	return lines
}

// clients is how to look at both sides.
func (s *Screen) clients() []string {
	d := s.demo
	inHost, inPort, _ := strings.Cut(d.inputs[0], ":")
	outHost, outPort, _ := strings.Cut(d.outputs[0], ":")
	return []string{
		"", dim.Render("  connect your own clients"),
		fmt.Sprintf("  mosquitto_sub -V 5 -h %s -p %s -t '#' -v", outHost, outPort),
		fmt.Sprintf("  mosquitto_pub -V 5 -h %s -p %s -t my/topic -r -m hello", inHost, inPort),
		fmt.Sprintf("  UaExpert: plant %s  IT %s", d.server.Endpoint, d.mirror),
		fmt.Sprintf("  status pages: plant http://127.0.0.1:%d  IT http://127.0.0.1:%d",
			d.gateway.TX.StatusPort, d.gateway.RX.StatusPort),
	}
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
	return bad.Render(grouped(n))
}

func padded(n uint64, width int) string {
	style := good
	if n > 0 {
		style = bad
	}
	return style.Render(fmt.Sprintf("%*s", width, grouped(n)))
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
	t := s.total()
	line := fmt.Sprintf("%4.0f s  sent %d, arrived %d; link: %d frames, %d repaired, %d bad CRC, %d beyond repair; "+
		"latency p50 %.1f ms, p99 %.1f ms",
		s.DurationSeconds, t.Sent, t.Arrived, s.Link.Frames, s.Link.Repaired, s.Link.CRCErrors, s.Link.Lost,
		s.Latency.P50, s.Latency.P99)
	switch o := s.Outage; {
	case o == nil:
		return line
	case o.To == nil:
		return line + fmt.Sprintf("; THE LINK IS CUT since %s: %s sent into the dark", clock(o.From),
			grouped(t.underWay))
	default:
		return line + fmt.Sprintf("; cut from %s to %s: healed %s of %s", clock(o.From), clock(*o.To),
			grouped(o.Healed), grouped(o.Missing))
	}
}
