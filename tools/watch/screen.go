package watch

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	tea "charm.land/bubbletea/v2"
)

// refresh is how often the screen is drawn when nothing happens.
const refresh = time.Second

// Screen is the terminal's. It implements tea.Model.
type Screen struct {
	watcher       *Watcher
	rows          []Row
	now           time.Time
	chosen        string // address of the selected row
	open          bool   // it is shown alone
	first         int    // line that is shown first
	width, height int
}

type tick time.Time

// Show shows all boards on the terminal until the user leaves or ctx ends.
func Show(ctx context.Context, w *Watcher, options ...tea.ProgramOption) error {
	ctx, cancel := context.WithCancel(ctx)
	p := tea.NewProgram(&Screen{watcher: w, now: w.now(), width: 80, height: 24},
		append([]tea.ProgramOption{tea.WithContext(ctx)}, options...)...)
	asked := make(chan struct{})
	go func() {
		defer close(asked)
		w.Run(ctx, func() {})
	}()
	_, err := p.Run()
	ended := ctx.Err() != nil
	cancel()
	<-asked
	if ended || errors.Is(err, tea.ErrInterrupted) {
		return nil
	}
	return err
}

// Init implements tea.Model.
func (s *Screen) Init() tea.Cmd { return func() tea.Msg { return tick(s.watcher.now()) } }

// Update implements tea.Model.
func (s *Screen) Update(msg tea.Msg) (tea.Model, tea.Cmd) {
	switch m := msg.(type) {
	case tea.WindowSizeMsg:
		s.width, s.height = m.Width, m.Height
	case tea.KeyPressMsg:
		if s.key(m.String()) {
			return s, tea.Quit
		}
	case tick:
		s.now, s.rows = time.Time(m), s.watcher.Rows()
		next := refresh
		if len(s.rows) < len(s.watcher.boards) {
			next = refresh / 10 // the first answers come one by one
		}
		return s, tea.Tick(next, func(t time.Time) tea.Msg { return tick(t) })
	}
	return s, nil
}

// key does what a key is for; true ends the program.
func (s *Screen) key(name string) bool {
	switch name {
	case "ctrl+c", "q":
		return true
	case "enter", "right", "l":
		s.open, s.first = len(s.rows) > 0, 0
	case "esc", "left", "h", "backspace":
		s.open, s.first = false, 0
	case "up", "k":
		s.move(-1)
	case "down", "j":
		s.move(1)
	case "pgup":
		s.move(-max(1, s.height/2))
	case "pgdown", "space":
		s.move(max(1, s.height/2))
	}
	return false
}

// move selects another row; a pair that is shown alone is scrolled.
func (s *Screen) move(by int) {
	if s.open {
		s.first = max(0, s.first+by)
		return
	}
	if len(s.rows) > 0 {
		s.chosen = s.rows[max(0, min(len(s.rows)-1, s.selected()+by))].Address
	}
}

// selected is the row that is selected, wherever sorting has moved it.
func (s *Screen) selected() int {
	for i, r := range s.rows {
		if r.Address == s.chosen {
			return i
		}
	}
	return 0
}

// View implements tea.Model.
func (s *Screen) View() tea.View {
	v := tea.NewView(s.String())
	v.AltScreen = true
	v.WindowTitle = "heliograph watch"
	return v
}

// String draws the screen.
func (s *Screen) String() string {
	head := []string{bold.Render("HELIOGRAPH watch") + "  " + summary(s.rows, len(s.watcher.boards)), ""}
	help := "  ↑ ↓ select   Enter shows all of a pair   q ends   figures of the last 10 min"
	var body []string
	if s.open && len(s.rows) > 0 {
		s.chosen = s.rows[s.selected()].Address
		body = detail(&s.rows[s.selected()], s.width-1, s.now)
		help = "  ↑ ↓ scroll   Esc back to all pairs   q ends"
	} else {
		body = s.list()
	}
	room := max(1, s.height-len(head)-2)
	s.first = max(0, min(s.first, len(body)-room))
	if hidden := len(body) - room - s.first; hidden > 0 {
		help = fmt.Sprintf("  %d lines below", hidden) + help
	}
	body = body[s.first:min(len(body), s.first+room)]
	lines := append(head, body...)
	for len(lines) < s.height-1 {
		lines = append(lines, "")
	}
	return strings.Join(append(lines, dim.Render(clip(help, s.width-1))), "\n")
}

// list is all pairs; the selected one is kept on the screen.
func (s *Screen) list() []string {
	if len(s.rows) == 0 {
		return []string{"  Asking .."}
	}
	t := newTable(s.rows, s.width-1)
	lines := []string{dim.Render(t.head())}
	room := max(1, s.height-4)
	for i := range s.rows {
		selected := i == s.selected()
		row := t.row(&s.rows[i], selected, s.now)
		lines = append(lines, row...)
		if selected {
			s.first = max(min(s.first, len(lines)-len(row)-1), len(lines)-room)
		}
	}
	return lines
}
