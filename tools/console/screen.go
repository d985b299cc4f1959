package console

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"

	tea "charm.land/bubbletea/v2"
	"charm.land/lipgloss/v2"

	"heliograph/firmware/platform/health"
	"heliograph/firmware/platform/text"
	"heliograph/rootfs/console"
)

// Our own choices.
const (
	refresh       = time.Second
	answerTimeout = 5 * time.Second // until the board is asked again
	paneLines     = 6               // at least, for what the board says
	paneText      = 24              // what the board may show at once; the rest of it is scrolled back to
)

// Screen shows a board's console as it is now. It implements tea.Model. What it sends to
// the board goes through send, which does not wait.
type Screen struct {
	device string
	send   func([]byte)
	save   func(host string, bundle []byte) (file string, err error)

	stream   stream
	history  history
	status   console.Status
	now      time.Time
	began    time.Time
	asked    time.Time
	answered time.Time // zero: never
	waits    bool      // for an answer
	bundle   bool      // one was asked for
	back     int       // lines scrolled back
	width    int
	height   int
	gone     error
}

// Messages of Update, beside keys.
type (
	arrived []byte
	gone    struct{ error }
	saved   struct {
		file string
		err  error
	}
	tick time.Time
)

// Init implements tea.Model.
func (l *Screen) Init() tea.Cmd {
	return tea.Batch(func() tea.Msg { return tick(time.Now()) }, tea.RequestWindowSize)
}

// Update implements tea.Model.
func (l *Screen) Update(msg tea.Msg) (tea.Model, tea.Cmd) {
	switch m := msg.(type) {
	case tea.WindowSizeMsg:
		l.width, l.height = m.Width, m.Height
	case tea.KeyPressMsg:
		return l, l.key(tea.Key(m))
	case tea.PasteMsg:
		l.send([]byte(m.Content))
	case arrived:
		return l, l.receive(m)
	case gone:
		l.gone = m
		return l, tea.Quit
	case saved:
		l.stream.say(outcome(m))
	case tick:
		l.clock(time.Time(m))
		return l, tea.Tick(refresh, func(t time.Time) tea.Msg { return tick(t) })
	}
	return l, nil
}

// key sends what was typed to the board, but for the few keys that are ours.
func (l *Screen) key(k tea.Key) tea.Cmd {
	switch name := k.String(); name {
	case "ctrl+c":
		return tea.Quit
	case "pgup", "pgdown":
		page := max(1, l.pane()-1)
		if name == "pgdown" {
			page = -page
		}
		l.back = max(0, min(l.back+page, len(l.stream.text)-l.pane()))
		return nil
	}
	l.back = 0
	switch {
	case k.Code == tea.KeyEnter:
		l.send([]byte{'\r'})
	case k.Code == tea.KeyBackspace:
		l.send([]byte{0x7f})
	case k.Code == tea.KeyEscape:
		l.send([]byte{escape})
	case k.Text != "":
		l.bundle = l.bundle || k.Text == "d"
		l.send([]byte(k.Text))
	}
	return nil
}

// clock asks for the status, unless an answer is still on its way.
func (l *Screen) clock(now time.Time) {
	if l.now = now; l.began.IsZero() {
		l.began = now
	}
	if !l.waits || now.Sub(l.asked) >= answerTimeout {
		l.waits, l.asked = true, now
		l.send([]byte{console.Enquiry})
	}
}

// receive handles what the board sent.
func (l *Screen) receive(p []byte) tea.Cmd {
	var cmd tea.Cmd
	frames := l.stream.feed(p)
	if l.stream.asked {
		l.stream.asked = false
		l.send([]byte(console.SizeAnswer(console.Size{Columns: l.width, Lines: max(l.height, paneText)})))
	}
	for _, f := range frames {
		switch {
		case f.Name == "status":
			var s console.Status
			l.waits = false
			if f.Err == nil && json.Unmarshal(f.Data, &s) == nil {
				l.status, l.answered = s, l.now
				l.history.add(s)
			}
		case f.Name == "diagnostics" && l.bundle:
			l.bundle = false
			if f.Err != nil {
				l.stream.say(outcome(saved{err: f.Err}))
				continue
			}
			host := l.status.Host
			cmd = func() tea.Msg {
				file, err := l.save(host, f.Data)
				return saved{file, err}
			}
		}
	}
	return cmd
}

func outcome(s saved) string {
	if s.err != nil {
		return "The bundle was not saved: " + s.err.Error()
	}
	return "The bundle is in " + s.file
}

var (
	bold   = lipgloss.NewStyle().Bold(true)
	dim    = lipgloss.NewStyle().Faint(true)
	good   = lipgloss.NewStyle().Foreground(lipgloss.Green)
	middle = lipgloss.NewStyle().Foreground(lipgloss.Yellow)
	bad    = lipgloss.NewStyle().Foreground(lipgloss.Red).Bold(true)
	accent = lipgloss.NewStyle().Foreground(lipgloss.Cyan)
)

// View implements tea.Model.
func (l *Screen) View() tea.View {
	v := tea.NewView(l.String())
	v.AltScreen = true
	v.WindowTitle = "heliograph console"
	return v
}

// String draws the screen: the status, the link's history, what the board says,
// and the keys.
func (l *Screen) String() string {
	top := append(l.board(), l.graphs()...)
	rule := "── " + console.Printable(l.device) + " "
	if l.back > 0 {
		rule += fmt.Sprintf("── %d lines back ", l.back)
	}
	const ours = " PgUp PgDn scroll, Ctrl-C leaves ──"
	if room := l.width - len([]rune(rule)) - len([]rune(ours)); room >= 0 {
		rule += strings.Repeat("─", room) + ours
	}
	rule += strings.Repeat("─", max(0, l.width-len([]rune(rule))))
	keys := l.keys()
	lines := append(top, dim.Render(rule))
	lines = append(lines, l.said(l.height-len(lines)-len(keys))...)
	for _, k := range keys {
		lines = append(lines, dim.Render(text.Clip(k, l.width)))
	}
	return strings.Join(lines, "\n")
}

// keys names those of the board.
func (l *Screen) keys() []string {
	return strings.Split(console.Help(l.width), "\n")
}

// pane is how many lines there are for what the board says.
func (l *Screen) pane() int {
	return max(1, l.height-len(l.board())-len(l.graphs())-1-len(l.keys()))
}

// board is the status screen, in colours.
func (l *Screen) board() []string {
	if l.answered.IsZero() {
		text := "Asking the board on " + console.Printable(l.device) + " .."
		if waited := l.now.Sub(l.began); waited >= answerTimeout {
			text = bad.Render(fmt.Sprintf("No answer for %.0f s.", waited.Seconds())) +
				" Is the board on, and this its console?"
		}
		return []string{text}
	}
	room := l.height - paneLines - len(l.graphs()) - len(l.keys()) - 1
	size := console.Size{Columns: l.width + 1, Lines: max(9, room)} // the last column is safe here
	lines := strings.Split(strings.TrimSuffix(console.Screen(l.status, size), "\n"), "\n")
	silent := l.now.Sub(l.answered)
	state := false // the line, or one that it goes on in
	for i, line := range lines {
		line = text.Clip(line, l.width)
		state = strings.HasPrefix(line, "STATE") || state && strings.HasPrefix(line, " ")
		switch {
		case silent >= answerTimeout:
			lines[i] = dim.Render(line)
		case i == 0:
			lines[i] = bold.Render(line)
		case state:
			lines[i] = colour(l.status.State).Render(line)
		default:
			lines[i] = line
		}
	}
	if silent >= answerTimeout {
		lines[1] = bad.Render(fmt.Sprintf("NO ANSWER for %.0f s", silent.Seconds()))
	}
	return lines
}

func colour(s health.State) lipgloss.Style {
	switch s {
	case health.Good:
		return good
	case health.Degraded, health.Waiting, health.Starting:
		return middle
	}
	return bad
}

// graphs is the link's history: on TX only what was sent.
func (l *Screen) graphs() []string {
	if l.answered.IsZero() {
		return nil
	}
	width := max(1, min(l.width-36, mostSamples))
	list, sum := l.history.last(width)
	graph := func(name string, style lipgloss.Style, of func(sample) uint64, format string, a ...any) string {
		return fmt.Sprintf("%-5s %s  %s", name, style.Render(spark(list, width, of)), fmt.Sprintf(format, a...))
	}
	seconds := max(1, sum.took.Seconds())
	rows := []string{graph("RATE", accent, func(s sample) uint64 { return s.frames }, "%.0f frames/s",
		float64(sum.frames)/seconds)}
	if l.status.Report.Snapshot.Link.Lost != nil {
		rows = append(rows,
			graph("FIXED", middle, func(s sample) uint64 { return s.fixed }, "%d in %.0f s", sum.fixed,
				sum.took.Seconds()),
			graph("LOST", bad, func(s sample) uint64 { return s.lost }, "%d in %.0f s", sum.lost, sum.took.Seconds()))
	}
	return rows
}

// said is the end of what the board says, in exactly n lines.
func (l *Screen) said(n int) []string {
	n = max(0, n)
	text := l.stream.text[:max(0, len(l.stream.text)-l.back)]
	if l.back == 0 {
		text = append(text[:len(text):len(text)], l.stream.open())
	}
	var lines []string
	for _, t := range text[max(0, len(text)-n):] {
		lines = append(lines, console.Wrap(t, l.width, 0)...)
	}
	return append(lines[max(0, len(lines)-n):], make([]string, max(0, n-len(lines)))...)
}
