package console

import (
	"heliograph/firmware/platform/text"
	"heliograph/rootfs/console"
)

// Our own bounds.
const (
	longestLine = 4 << 10
	mostLines   = 2000
)

// stream makes text and frames out of what arrives. Escape sequences are left out; of them
// the board sends the question for the terminal's size alone. The zero value is ready.
type stream struct {
	escaped []byte // of a sequence that has begun
	asked   bool   // for the size, since the last answer
	frames  console.Deframer
	text    []string // whole lines, newest last
	before  string   // what a line had before a frame began within it
	line    []byte   // has not ended
}

// feed takes what arrived and returns the frames that ended.
func (s *stream) feed(p []byte) (done []*console.Framed) {
	for _, b := range p {
		switch {
		case s.sequence(b):
		case b == '\b':
			s.line = s.line[:max(0, len(s.line)-1)]
		case b == '\n' || len(s.line) == longestLine:
			if f := s.end(); f != nil {
				done = append(done, f)
			}
		case b != '\r':
			s.line = append(s.line, b)
		}
	}
	return done
}

// sizeAsked is the part of console.SizeQuery that is answered.
const sizeAsked = "\x1b[18t"

// sequence takes a byte if it belongs to an escape sequence.
func (s *stream) sequence(b byte) bool {
	switch n := len(s.escaped); {
	case b == escape:
		s.escaped = append(s.escaped[:0], b)
	case n == 0:
		return false
	case n == 1 && b != '[' || b < ' ' || b >= 0x7f:
		s.escaped = s.escaped[:0]
		return false
	case n > 1 && b >= 0x40:
		s.asked = s.asked || string(append(s.escaped, b)) == sizeAsked
		s.escaped = s.escaped[:0]
	case n < len(sizeAsked):
		s.escaped = append(s.escaped, b)
	}
	return true
}

// end takes the line as a whole one.
func (s *stream) end() *console.Framed {
	part, goesOn, done := s.frames.Line(string(s.line))
	s.line = s.line[:0]
	if s.before = text.Clip(s.before+part, longestLine); !goesOn {
		s.say(s.before)
		s.before = ""
	}
	return done
}

// say adds a line.
func (s *stream) say(line string) {
	s.text = append(s.text, console.Printable(line))
	s.text = s.text[max(0, len(s.text)-mostLines):]
}

// open is the line that has not ended, a question as a rule.
func (s *stream) open() string {
	if s.frames.Open() {
		return console.Printable(s.before)
	}
	return console.Printable(s.before + string(s.line))
}
