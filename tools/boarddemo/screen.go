package boarddemo

import (
	"fmt"
	"image/color"
	"strings"
	"time"

	tea "charm.land/bubbletea/v2"
	"charm.land/lipgloss/v2"

	"heliograph/firmware/platform/health"
	"heliograph/rootfs/console"
)

const (
	refresh   = time.Second
	leastRows = 7 // of a board
	ruleRows  = 4 // a title and three rules
)

// Screen shows both boards' consoles and what crosses. It implements tea.Model.
type Screen struct {
	demo          *Demo
	start         time.Time
	width, height int
}

// NewScreen returns a screen of a running demo.
func NewScreen(d *Demo) *Screen { return &Screen{demo: d, start: time.Now(), width: 80, height: 24} }

type tick struct{}

// Init implements tea.Model.
func (s *Screen) Init() tea.Cmd { return s.next() }

func (s *Screen) next() tea.Cmd {
	return tea.Tick(refresh, func(time.Time) tea.Msg { return tick{} })
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
			s.demo.Line.ToggleCut()
		case "b":
			s.demo.Line.ToggleWayBack()
		}
	case tick:
		s.demo.Ask()
		return s, s.next()
	}
	return s, nil
}

// View implements tea.Model.
func (s *Screen) View() tea.View {
	v := tea.NewView(s.String())
	v.AltScreen = true
	return v
}

// String is the screen as text.
func (s *Screen) String() string {
	d := s.demo
	bold := lipgloss.NewStyle().Bold(true)
	own := d.Lines()
	rows := max((s.height-ruleRows-len(own))/2, leastRows)
	var b strings.Builder
	line := func(text string) { b.WriteString(text + "\n") }
	line(bold.Render("HELIOGRAPH board-demo") + fmt.Sprintf("  %s; keys: c cuts the line, b wires a way back, q ends",
		time.Since(s.start).Round(time.Second)))
	for _, m := range []struct {
		title string
		*Machine
	}{{"TX, in the plant", d.TX}, {"RX, at IT", d.RX}} {
		text, colour := m.rows(rows, s.width)
		rule := strings.Repeat("─", max(s.width-len(m.title)-5, 0))
		line(bold.Foreground(colour).Render("── " + m.title + " " + rule))
		line(text)
	}
	line(bold.Render("── what crosses " + strings.Repeat("─", max(s.width-16, 0))))
	for _, text := range own {
		line(text)
	}
	for i, text := range strings.Split(strings.TrimSuffix(b.String(), "\n"), "\n") {
		if i == 0 {
			b.Reset()
		} else {
			b.WriteString("\n")
		}
		b.WriteString(lipgloss.NewStyle().MaxWidth(s.width).Render(text))
	}
	return b.String()
}

// rows is what a board's console shows, in n rows, what matters most before the rest.
func (m *Machine) rows(n, width int) (text string, colour color.Color) {
	status, said, fault := m.Look()
	var list []string
	switch {
	case fault != "":
		list, colour = append([]string{fault}, newest(said, n-1)...), lipgloss.Red
	case status == nil:
		list = append([]string{"boots: about ten seconds on an idle machine"}, newest(said, n-1)...)
		colour = lipgloss.Yellow
	default:
		list = console.Short(*status, console.Size{Columns: width, Lines: n})
		colour = lipgloss.Yellow
		if status.State == health.Good || status.State == health.Degraded {
			colour = lipgloss.Green
		}
	}
	list = append(list[:min(len(list), n)], make([]string, max(0, n-len(list)))...)
	return strings.Join(list, "\n"), colour
}

// newest returns the last n lines.
func newest(lines []string, n int) []string { return lines[max(0, len(lines)-n):] }
