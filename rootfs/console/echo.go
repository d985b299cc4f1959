package console

import (
	"io"
	"strings"
)

// answer is what a question is answered with.
const answer = "yes"

// Log returns a writer for lines of a log, which come in any pieces. A role has a part in them,
// and a terminal that echoes types what it shows: so no line of it ends in the answer to a
// question. It is not safe for concurrent use.
func Log(to io.Writer) io.Writer { return &unanswering{to: to} }

type unanswering struct {
	to  io.Writer
	end string // of the line that has begun, as far as it matters
}

// Write implements io.Writer.
func (u *unanswering) Write(p []byte) (int, error) {
	var out strings.Builder
	rest := string(p)
	for {
		line, more, ended := strings.Cut(rest, "\n")
		out.WriteString(line)
		text := strings.TrimRight(u.end+line, " \r\t")
		if !ended {
			u.end = text[max(0, len(text)-len(answer)):]
			break
		}
		if strings.HasSuffix(text, answer) {
			out.WriteString(".")
		}
		out.WriteString("\n")
		u.end, rest = "", more
	}
	_, err := io.WriteString(u.to, out.String())
	return len(p), err
}
