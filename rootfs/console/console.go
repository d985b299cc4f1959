// Package console is a board's diagnostics console: plain text on a serial line,
// for an operator with a terminal program and a cable.
//
// Keys act at once; what changes something asks first. Without a key it writes one
// line a minute. Keys that come faster than a person types are ignored: that is
// noise, or a terminal that echoes. No line that a role has a part in ends in the answer
// to a question (see Log), which such a terminal would give. It asks for no password: a person who can plug a
// cable into the board can take its card out too. It refuses to start a shell or a
// program, and to send anything through the link but the reverse probes of a receiver.
//
// Data for programs comes between two lines, packed by gzip, as base64 in lines
// of 76 characters; length and hash are those of the data before it was packed:
//
//	-----BEGIN HELIOGRAPH status 5120 <SHA-256, hex>-----
//	…
//	-----END HELIOGRAPH status-----
//
// A program asks for the status with the byte ENQ, which does not disturb a
// question that waits for its answer.
//
// Before it shows text it asks the terminal for its size, and waits for the answer for a
// moment; a terminal that does not answer is one of 80 columns and 24 lines, and is not
// asked again before it was left alone for a minute. Text is broken between words.
//
// Everything shown that a peer, a role or a file has named is made printable
// ASCII first: no escape sequence but that one reaches the terminal, nor a byte that one
// with 8-bit controls would take for the start of one.
package console

import (
	"bytes"
	"fmt"
	"io"
	"strings"
	"time"

	"heliograph/firmware/config/pairkey"
	"heliograph/firmware/platform/status"
)

// Console is one terminal. Not safe for concurrent use.
type Console struct {
	board Board
	out   io.Writer
	mode  func(key byte) // nil: keys are commands
	line  []byte         // being typed
	still bool           // no key since the last Minute
	link  status.Link    // at the last Minute
	now   func() time.Time
	last  time.Time // when a key came
	typed *Network  // in a network dialogue that could not be kept
	burst int       // commands that came faster than a person types
	work  *work     // nil: none is under way

	terminal
}

// New returns a console that writes to out. Lines end in CR LF.
func New(b Board, out io.Writer) *Console { return &Console{board: b, out: out, now: time.Now} }

// Our own bounds.
const (
	maxInput   = 200                   // of a typed line
	maxSubject = 120                   // of a certificate
	maxBurst   = 20                    // commands, each
	typingGap  = 50 * time.Millisecond // less than this after the one before: not typed
)

// Enquiry asks for the status as a frame at any time, also within a question. It is
// ENQ of ASCII.
const Enquiry = 5

// escapeKey is ESC.
const escapeKey = 0x1b

// ctrlC is ETX.
const ctrlC = 3

// Key takes one byte from the terminal.
func (c *Console) Key(b byte) {
	if b == Enquiry {
		Frame(c.out, "status", statusJSON(c.board.Status()))
		return
	}
	before := c.answers
	taken, alone := c.consume(b, c.now())
	if alone {
		c.press(escapeKey)
	}
	switch {
	case !taken:
		c.proceed(true)
		c.press(b)
	case c.answers > before:
		c.proceed(false)
	}
}

// Due is when Expire has to be called, unless a key comes before; the zero time is never.
func (c *Console) Due() time.Time { return c.due }

// Expire ends the waiting for the rest of an escape sequence, or for the terminal's answer.
func (c *Console) Expire() {
	alone := len(c.sequence) == 1
	c.sequence, c.due = nil, time.Time{}
	if alone {
		c.press(escapeKey)
	}
	c.proceed(true)
}

// proceed does what waited for the terminal's size.
func (c *Console) proceed(unanswered bool) {
	do := c.pending
	if do == nil {
		return
	}
	c.pending, c.due = nil, time.Time{}
	if unanswered {
		c.silent++
	}
	do()
}

// press takes a key.
func (c *Console) press(b byte) {
	c.still = false
	now := c.now()
	gap := now.Sub(c.last)
	if gap >= typingGap {
		c.burst = 0
	}
	if gap >= leftAlone {
		c.silent = 0 // perhaps another terminal
	}
	c.last = now
	if c.mode != nil {
		c.mode(b)
		return
	}
	if c.burst++; c.burst > maxBurst {
		return
	}
	c.command(b)
}

// sized does something once the terminal has said its size, or has not.
func (c *Console) sized(do func()) {
	if c.silent >= mostSilent {
		do()
		return
	}
	_, _ = io.WriteString(c.out, SizeQuery)
	c.pending, c.due = do, c.now().Add(answerWait)
}

func (c *Console) command(b byte) {
	switch b {
	case 's':
		c.sized(c.status)
	case 'f':
		c.sized(func() { c.say(findings(c.board.Status())) })
	case 'l':
		c.sized(c.log)
	case 'c':
		c.sized(c.certificates)
	case 'e':
		c.sized(c.runs)
	case 'x':
		c.sized(c.pairKey)
	case 'n':
		c.sized(c.network)
	case ProbeKey:
		c.probe()
	case 't':
		lines := &sayer{c: c}
		c.board.Selftest(lines)
		lines.flush()
	case 'd':
		Frame(c.out, "diagnostics", c.bundle())
	case 'j':
		Frame(c.out, "status", statusJSON(c.board.Status()))
	case 'k':
		c.ask("Restart the role? What it has acknowledged is kept.", c.board.RestartRole)
	case 'w':
		c.ask("Freeze the role? The watchdog must reset the board within a minute.", c.board.FreezeRole)
	case 'r':
		c.ask("Restart the board?", c.board.Restart)
	case 'p':
		c.ask("Power off? Only a power cycle starts the board again.", c.board.PowerOff)
	case '?', 'h', '\r', '\n':
		c.sized(func() { c.say(Manual(c.columns())) })
	}
}

// status shows the status, and the keys in the lines below it.
func (c *Console) status() {
	size := c.known()
	keys := Help(c.columns())
	lines := size.Lines - 1 - strings.Count(keys, "\n") - 1 // the prompt's own left free
	c.say(Screen(c.board.Status(), Size{size.Columns, lines}) + keys)
}

// log shows as much of the log's end as the terminal has lines.
func (c *Console) log() {
	room := c.known().Lines - 2
	var lines []string
	for _, l := range c.board.Log(room) {
		lines = append(lines, Wrap(Printable(l), c.columns(), logIndent)...)
	}
	c.say(strings.Join(lines[max(0, len(lines)-room):], "\n"))
}

// logIndent marks the lines that a long one of the log goes on in.
const logIndent = 4

// Minute writes the line of an idle console. It ends a question that was not
// answered since the last Minute: the next operator does not expect it.
func (c *Console) Minute() {
	if c.mode != nil {
		if c.still && c.work == nil {
			c.cancel()
		}
		c.still = true
		return
	}
	s := c.board.Status()
	c.say(Summary(s, c.link, c.columns()))
	c.link = s.Report.Snapshot.Link
}

func (c *Console) cancel() {
	c.mode = nil
	c.say("\ncancelled; nothing changed")
}

// Text returns a writer that makes lines of text fit for a terminal.
func Text(to io.Writer) io.Writer { return crlf{to} }

type crlf struct{ to io.Writer }

func (t crlf) Write(p []byte) (int, error) {
	_, err := io.WriteString(t.to, strings.ReplaceAll(Printable(string(p)), "\n", "\r\n"))
	return len(p), err
}

// say writes lines, broken to the terminal's width.
func (c *Console) say(s string) { fmt.Fprintln(Log(crlf{c.out}), c.fold(s)) }

// fold breaks the lines of a text to the terminal's width.
func (c *Console) fold(s string) string {
	var lines []string
	for _, l := range strings.Split(Printable(s), "\n") {
		indent := len(l) - len(strings.TrimLeft(l, " "))
		lines = append(lines, Wrap(l, c.columns(), indent)...)
	}
	return strings.Join(lines, "\n")
}

// sayer says what is written to it, line by line.
type sayer struct {
	c    *Console
	rest []byte // of a line that has not ended
}

func (s *sayer) Write(p []byte) (int, error) {
	s.rest = append(s.rest, p...)
	for {
		i := bytes.IndexByte(s.rest, '\n')
		if i < 0 {
			return len(p), nil
		}
		s.c.say(string(s.rest[:i]))
		s.rest = s.rest[i+1:]
	}
}

func (s *sayer) flush() {
	if len(s.rest) > 0 {
		s.c.say(string(s.rest))
	}
}

// ask does something once the operator has typed yes. A single letter would not do:
// a terminal that echoes sends back all that the board writes, and its log is full
// of words like retry. Nor does what a role has logged answer it: see Log.
func (c *Console) ask(question string, do func()) {
	c.read(question+" Type "+answer+": ", func(typed string) {
		if typed != answer {
			c.say("That is not " + answer + ": nothing changed.")
			return
		}
		do()
	})
}

func (c *Console) certificates() {
	if own := c.board.Identity(); own.Thumbprint != "" {
		c.say(fmt.Sprintf("This board's own (%s), to compare at its peers and in reports:\n   %s", own.Why,
			own.Thumbprint))
	}
	list := c.board.Rejected()
	if len(list) == 0 {
		c.say("No certificate was rejected.")
		return
	}
	list = list[:min(len(list), 9)]
	for i, e := range list {
		c.say(fmt.Sprintf("%d  %s  %s\n   %s", i+1, oneLine(e.Subject, maxSubject), e.Why, e.Thumbprint))
	}
	c.choose("Number of the one to trust, any other key for none:", len(list), func(n int) {
		e := list[n]
		c.ask("Trust "+oneLine(e.Subject, maxSubject)+"? Compare its thumbprint with the peer's own:\n   "+e.Thumbprint,
			func() {
				c.result(c.board.Trust(e.Thumbprint), "Trusted within two seconds.")
			})
	})
}

// runs are those of the transmitter that the receiver refuses.
func (c *Console) runs() {
	list := c.board.Refused()
	if len(list) == 0 {
		c.say("No run of the transmitter is refused.")
		return
	}
	list = list[max(0, len(list)-9):]
	for i, r := range list {
		c.say(fmt.Sprintf("%d  run %s: epoch %d, last frame %s", i+1, oneLine(r.ID, 40), r.Epoch,
			r.LastFrame.UTC().Format(time.DateTime+" UTC")))
	}
	c.choose("Number of the one to accept, any other key for none:", len(list), func(n int) {
		c.ask(fmt.Sprintf("Was the transmitter replaced or flashed again, and does its status say epoch %d?",
			list[n].Epoch), func() {
			c.result(c.board.Accept(list[n].ID), "Accepted with the next frame that arrives from it.")
		})
	})
}

// pairKey changes the key of the pair: on the receiver first, which accepts both for a day.
func (c *Console) pairKey() {
	now, err := c.board.Keys()
	if err != nil {
		c.say(err.Error())
		return
	}
	c.say(now + "\nA new key goes to the receiver first, then to the transmitter, whose role is restarted.")
	c.newKey()
}

// newKey asks for the line of a key file until it is one.
func (c *Console) newKey() {
	c.read("Line of a key file (heliograph key new), Enter for none: ", func(typed string) {
		if typed == "" {
			c.say("none")
			return
		}
		key, err := pairkey.Parse([]byte(typed))
		if err != nil {
			c.say(err.Error())
			c.newKey()
			return
		}
		tx := c.board.Status().Role == "tx"
		question := "Accept key " + pairkey.ID(key) + ", and the present one for 24 hours more?"
		if tx {
			question = "Does the receiver accept key " + pairkey.ID(key) + " already? Use it, and restart the role?"
		}
		c.ask(question, func() {
			if err := c.board.ChangeKey(key); err != nil {
				c.say(err.Error())
				return
			}
			if tx {
				c.board.RestartRole()
			}
			c.say("Done. Key x shows which keys are used.")
		})
	})
}

// choose reads the number of one of n things.
func (c *Console) choose(prompt string, n int, do func(i int)) {
	c.say(prompt)
	c.mode = func(key byte) {
		c.mode = nil
		if i := int(key) - '1'; i >= 0 && i < n {
			do(i)
			return
		}
		c.say("none")
	}
}

func (c *Console) result(err error, good string) {
	if err != nil {
		c.say(err.Error())
		return
	}
	c.say(good)
}

func or(s string) string {
	if s == "" {
		return "none"
	}
	return s
}

// read reads a line; ESC and Ctrl-C cancel.
func (c *Console) read(prompt string, done func(string)) {
	fmt.Fprint(Log(crlf{c.out}), c.fold(strings.TrimRight(prompt, " "))+" ")
	c.line = c.line[:0]
	c.mode = func(key byte) {
		switch {
		case key == '\r' || key == '\n':
			c.mode = nil
			c.say("")
			done(strings.TrimSpace(string(c.line)))
		case key == escapeKey || key == ctrlC:
			c.cancel()
		case key == 8 || key == 0x7f:
			if len(c.line) > 0 {
				c.line = c.line[:len(c.line)-1]
				fmt.Fprint(c.out, "\b \b")
			}
		case key >= ' ' && key < 0x7f && len(c.line) < maxInput:
			c.line = append(c.line, key)
			_, _ = c.out.Write([]byte{key})
		}
	}
}
