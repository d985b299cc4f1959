// Package console is a board's diagnostics console: plain text on a serial line,
// for an operator with a terminal program and a cable.
//
// Keys act at once; what changes something asks first. Without a key it writes one
// line a minute. Keys that come faster than a person types are ignored: that is
// noise, or a terminal that echoes. It asks for no password: a person who can plug a
// cable into the board can take its card out too. It refuses to start a shell or a
// program, and to send anything through the link.
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
// Everything shown that a peer, a role or a file has named is made printable
// ASCII first: no escape sequence reaches the terminal, nor a byte that one with
// 8-bit controls would take for the start of one.
package console

import (
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
	burst int       // commands that came faster than a person types
}

// New returns a console that writes to out. Lines end in CR LF.
func New(b Board, out io.Writer) *Console { return &Console{board: b, out: out, now: time.Now} }

// Our own bounds.
const (
	maxInput  = 200                   // of a typed line
	maxBurst  = 20                    // commands, each
	typingGap = 50 * time.Millisecond // less than this after the one before: not typed
)

// Help names the keys.
const Help = "[s]tatus [l]og [c]ertificates [n]etwork [e]poch [x]key [t]est [d]iag [j]son [?]\n" +
	"[k]restart role [w]atchdog drill [r]eboot [p]ower off"

// Enquiry asks for the status as a frame at any time, also within a question. It is
// ENQ of ASCII.
const Enquiry = 5

// Key takes one byte from the terminal.
func (c *Console) Key(b byte) {
	if b == Enquiry {
		Frame(c.out, "status", statusJSON(c.board.Status()))
		return
	}
	c.still = false
	now := c.now()
	if now.Sub(c.last) >= typingGap {
		c.burst = 0
	}
	c.last = now
	if c.mode != nil {
		c.mode(b)
		return
	}
	if c.burst++; c.burst > maxBurst {
		return
	}
	switch b {
	case 's':
		c.say(Screen(c.board.Status(), screenLines) + Help)
	case 'l':
		c.say(strings.Join(c.board.Log(logLines), "\n"))
	case 'c':
		c.certificates()
	case 'e':
		c.runs()
	case 'x':
		c.pairKey()
	case 'n':
		c.network()
	case 't':
		c.board.Selftest(Text(c.out))
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
		c.say(Help)
	}
}

// Minute writes the line of an idle console. It ends a question that was not
// answered since the last Minute: the next operator does not expect it.
func (c *Console) Minute() {
	if c.mode != nil {
		if c.still {
			c.cancel()
		}
		c.still = true
		return
	}
	s := c.board.Status()
	c.say(Summary(s, c.link))
	c.link = s.Report.Snapshot.Link
}

func (c *Console) cancel() {
	c.mode = nil
	c.say("\ncancelled; nothing changed")
}

// A screen of 24 lines, the prompt's own left free.
const (
	logLines    = 22
	screenLines = 21 // and Help
)

// Text returns a writer that makes lines of text fit for a terminal.
func Text(to io.Writer) io.Writer { return crlf{to} }

type crlf struct{ to io.Writer }

func (t crlf) Write(p []byte) (int, error) {
	_, err := io.WriteString(t.to, strings.ReplaceAll(Printable(string(p)), "\n", "\r\n"))
	return len(p), err
}

func (c *Console) say(s string) { fmt.Fprintln(crlf{c.out}, s) }

// ask does something once the operator has typed yes. A single letter would not do:
// a terminal that echoes sends back all that the board writes, and its log is full
// of words like retry.
func (c *Console) ask(question string, do func()) {
	c.read(question+" Type yes: ", func(typed string) {
		if typed != "yes" {
			c.say("no")
			return
		}
		do()
	})
}

func (c *Console) certificates() {
	list := c.board.Rejected()
	if len(list) == 0 {
		c.say("No certificate was rejected.")
		return
	}
	list = list[:min(len(list), 9)]
	for i, e := range list {
		c.say(fmt.Sprintf("%d  %s  %s\n   %s", i+1, oneLine(e.Subject, 60), e.Why, e.Thumbprint))
	}
	c.choose("Number of the one to trust, any other key for none:", len(list), func(n int) {
		e := list[n]
		c.ask("Trust "+oneLine(e.Subject, 60)+"? Compare its thumbprint with the peer's own:\n   "+e.Thumbprint,
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
	c.read("Line of a key file (heliograph key new), Enter for none: ", func(typed string) {
		if typed == "" {
			c.say("none")
			return
		}
		key, err := pairkey.Parse([]byte(typed))
		if err != nil {
			c.say(err.Error())
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

// network asks for each field in turn.
func (c *Console) network() {
	n := c.board.Network()
	c.say("Network. Enter keeps what is there, a minus sign empties it.")
	fields := []struct {
		name  string
		value *string
	}{
		{"hostname", &n.Hostname}, {"interface", &n.Interface}, {"address/bits, or dhcp", &n.Address},
		{"gateway", &n.Gateway}, {"nameservers", &n.Nameservers},
	}
	var next func(i int)
	next = func(i int) {
		if i == len(fields) {
			c.ask(fmt.Sprintf("Set %s on %s, gateway %s, nameservers %s, and restart?", n.Address, n.Interface,
				or(n.Gateway), or(n.Nameservers)), func() {
				if err := c.board.SetNetwork(n); err != nil {
					c.say(err.Error())
					return
				}
				c.board.Restart()
			})
			return
		}
		c.read(fmt.Sprintf("%s [%s]: ", fields[i].name, *fields[i].value), func(typed string) {
			switch typed {
			case "":
			case "-":
				*fields[i].value = ""
			default:
				*fields[i].value = typed
			}
			next(i + 1)
		})
	}
	next(0)
}

func or(s string) string {
	if s == "" {
		return "none"
	}
	return s
}

// read reads a line; ESC and Ctrl-C cancel.
func (c *Console) read(prompt string, done func(string)) {
	fmt.Fprint(crlf{c.out}, prompt)
	c.line = c.line[:0]
	c.mode = func(key byte) {
		switch {
		case key == '\r' || key == '\n':
			c.mode = nil
			c.say("")
			done(strings.TrimSpace(string(c.line)))
		case key == 0x1b || key == 3:
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
