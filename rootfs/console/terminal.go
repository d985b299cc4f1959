package console

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Size is a terminal's, in characters.
type Size struct{ Columns, Lines int }

// usual is the size of a terminal that does not say which it has.
func usual() Size { return Size{80, 24} }

// SizeQuery asks a terminal for its size in two ways, of which most know one: CSI 18 t
// of xterm, and the place of a cursor (CSI 6 n, ECMA-48 8.3.35) that was sent as far to
// the right and down as it goes. The cursor is put back.
const SizeQuery = "\x1b[18t\x1b[s\x1b[999;999H\x1b[6n\x1b[u"

// SizeAnswer is what a terminal of a size answers to CSI 18 t.
func SizeAnswer(s Size) string { return fmt.Sprintf("\x1b[8;%d;%dt", s.Lines, s.Columns) }

// Our own choices.
const (
	answerWait   = 300 * time.Millisecond // for the answer to SizeQuery
	escapeWait   = 100 * time.Millisecond // for what follows an escape character, unless it was the key alone
	mostSequence = 24                     // bytes
	mostSilent   = 2                      // queries without an answer, until the terminal was left alone
	leftAlone    = time.Minute
)

// Bounds of a size that is accepted.
const (
	minColumns, maxColumns = 20, 400
	minLines, maxLines     = 10, 200
)

// terminal is what the console knows of the terminal. The zero value knows nothing.
type terminal struct {
	size     Size
	answers  int       // that gave it
	sequence []byte    // of escape, begun
	silent   int       // queries in a row that had no answer
	pending  func()    // waits for the answer
	due      time.Time // when sequence or pending is waited for no longer
}

// columns are those that text may use: one is left free, because terminals differ in
// what they do after the last.
func (t *terminal) columns() int { return t.known().Columns - 1 }

func (t *terminal) known() Size {
	if t.size == (Size{}) {
		return usual()
	}
	return t.size
}

// consume takes a byte if it belongs to an escape sequence. alone says that the sequence
// before it was the key ESC.
func (t *terminal) consume(b byte, now time.Time) (taken, alone bool) {
	n := len(t.sequence)
	switch {
	case b == escapeKey:
		t.sequence, t.due = []byte{b}, now.Add(escapeWait)
		return true, n == 1
	case n == 0:
		return false, false
	case n == 1 && b != '[':
		t.sequence = nil
		return false, true
	case n == 1 || b >= 0x20 && b < 0x40:
		if n < mostSequence { // of a longer one the end does not count
			t.sequence = append(t.sequence, b)
		}
		return true, false
	case b >= 0x40 && b < 0x7f:
		t.report(string(t.sequence[2:]), b)
		t.sequence = nil
		return true, false
	}
	t.sequence = nil // not one of ours
	return false, false
}

// report reads a size from a control sequence; any other is left alone.
func (t *terminal) report(parameters string, final byte) {
	fields := strings.Split(parameters, ";")
	switch {
	case final == 't' && len(fields) == 3 && fields[0] == "8":
		fields = fields[1:]
	case final == 'R' && len(fields) == 2:
	default:
		return
	}
	lines, err := strconv.Atoi(fields[0])
	columns, failed := strconv.Atoi(fields[1])
	if err == nil && failed == nil && lines >= minLines && columns >= minColumns {
		t.size = Size{min(columns, maxColumns), min(lines, maxLines)}
		t.answers, t.silent = t.answers+1, 0
	}
}

// Wrap breaks printable ASCII into lines of at most width characters, between words where
// it can; lines after the first begin with so many spaces.
func Wrap(s string, width, indent int) (lines []string) {
	width, indent = max(width, 1), min(max(indent, 0), max(width, 1)/2)
	begin := ""
	for len(begin)+len(s) > width {
		room := width - len(begin)
		at := strings.LastIndexByte(s[:room+1], ' ')
		if strings.TrimSpace(s[:max(at, 0)]) == "" {
			at = room // one word
		}
		lines = append(lines, begin+strings.TrimRight(s[:at], " "))
		s, begin = strings.TrimLeft(s[at:], " "), strings.Repeat(" ", indent)
		if s == "" {
			return lines
		}
	}
	return append(lines, begin+s)
}
