// Package progress shows on a terminal what takes long: one line that says what is done and
// for how long, and that leaves nothing behind when it is over.
//
// It belongs on standard error, and shows nothing where that is not a terminal, or one
// without cursor movements: scripts and logs have no use for it. What is over within a second
// is not shown either. Other text for the same terminal goes through Writer, so that it does
// not end up in the line.
package progress

import (
	"fmt"
	"io"
	"os"
	"sync"
	"time"

	"github.com/charmbracelet/x/term"

	"heliograph/firmware/platform/text"
)

const (
	// After is how long something takes before it is shown.
	After = time.Second
	// every is how often the line is looked at.
	every = 250 * time.Millisecond
	// narrowest is the width of a terminal that does not say its own.
	narrowest = 40
)

// clear goes to the start of the line, and erases it (ECMA-48).
const clear = "\r\x1b[K"

// Line is what is shown. All methods may be called at any time, and of a nil one too.
type Line struct {
	out   io.Writer
	width func() int
	begun time.Time
	end   chan struct{}

	mu    sync.Mutex
	what  string
	timed bool   // what has a time of its own
	shown string // what stands on the terminal now
	open  bool   // a line that went through Writer has no end yet
	ended bool
}

// Start shows on out what is done, until End. It shows nothing where out is not a terminal.
func Start(out io.Writer, what string) *Line {
	f, ok := out.(*os.File)
	if !ok || !term.IsTerminal(f.Fd()) || os.Getenv("TERM") == "dumb" {
		return nil
	}
	return start(out, what, func() int {
		width, _, err := term.GetSize(f.Fd())
		if err != nil || width <= 0 {
			return narrowest
		}
		return width
	})
}

func start(out io.Writer, what string, width func() int) *Line {
	l := &Line{out: out, width: width, begun: time.Now(), end: make(chan struct{}), what: what}
	go l.run()
	return l
}

func (l *Line) run() {
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		select {
		case <-l.end:
			return
		case <-tick.C:
			l.show()
		}
	}
}

func (l *Line) show() {
	l.mu.Lock()
	defer l.mu.Unlock()
	took := time.Since(l.begun)
	if l.ended || l.open || took < After {
		return
	}
	line := []rune(text.Printable(l.what))
	if !l.timed {
		line = append(line, []rune(fmt.Sprintf(" … %s", took.Truncate(time.Second)))...)
	}
	if most := max(l.width()-1, 0); len(line) > most { // in the last column a terminal wraps
		line = line[:most]
	}
	if string(line) != l.shown {
		l.shown = string(line)
		fmt.Fprint(l.out, clear+l.shown)
	}
}

// Set says what is done now.
func (l *Line) Set(format string, a ...any) { l.set(fmt.Sprintf(format, a...), false) }

// SetTimed is Set for what says a time itself, such as the time that is left.
func (l *Line) SetTimed(format string, a ...any) { l.set(fmt.Sprintf(format, a...), true) }

func (l *Line) set(what string, timed bool) {
	if l == nil {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.what, l.timed = what, timed
}

// Share says what is done, and how much of it.
func (l *Line) Share(what string, done, total int64) {
	if total > 0 {
		l.Set("%s: %d %%", what, min(done*100/total, 100))
	}
}

// End ends the line; what follows begins where it stood.
func (l *Line) End() {
	if l == nil {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.ended {
		return
	}
	l.ended = true
	l.hide()
	close(l.end)
}

// hide erases the line until it is written again. The caller holds mu.
func (l *Line) hide() {
	if l.shown != "" {
		fmt.Fprint(l.out, clear)
	}
	l.shown = ""
}

// Writer returns a writer to w, which may be the same terminal, that erases the line before
// it writes.
func (l *Line) Writer(w io.Writer) io.Writer {
	if l == nil {
		return w
	}
	return above{l, w}
}

type above struct {
	line *Line
	to   io.Writer
}

func (a above) Write(b []byte) (int, error) {
	a.line.mu.Lock()
	defer a.line.mu.Unlock()
	a.line.hide()
	a.line.open = len(b) > 0 && b[len(b)-1] != '\n'
	return a.to.Write(b)
}

// Reader returns a reader of r that says how much of size bytes was read.
func (l *Line) Reader(r io.Reader, size int64) io.Reader {
	if l == nil {
		return r
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	return &counting{Reader: r, line: l, what: l.what, size: size}
}

type counting struct {
	io.Reader
	line       *Line
	what       string
	done, size int64
}

func (c *counting) Read(b []byte) (int, error) {
	n, err := c.Reader.Read(b)
	c.done += int64(n)
	c.line.Share(c.what, c.done, c.size)
	return n, err
}
