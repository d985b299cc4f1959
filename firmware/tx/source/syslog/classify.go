package syslog

import (
	"bytes"

	library "github.com/leodido/go-syslog/v4"
	"github.com/leodido/go-syslog/v4/rfc3164"
	"github.com/leodido/go-syslog/v4/rfc5424"

	payload "heliograph/firmware/conduit/payload/syslog"
)

// maxParsed is how many bytes of a line are parsed; the format shows in the header.
const maxParsed = 8 << 10

// classifier finds the format of a line. It is for one goroutine.
type classifier struct{ ietf, bsd library.Machine }

func newClassifier() *classifier {
	return &classifier{ietf: rfc5424.NewParser(), bsd: rfc3164.NewParser()}
}

// format returns what a line is written in.
func (c *classifier) format(text []byte) payload.Format {
	text = bytes.TrimRight(text[:min(len(text), maxParsed)], "\r\n\x00")
	end := bytes.IndexByte(text[:min(len(text), 6)], '>')
	if end < 0 {
		return payload.Malformed
	}
	if bytes.HasPrefix(text[end+1:], []byte("1 ")) {
		if _, err := c.ietf.Parse(text); err == nil {
			return payload.RFC5424
		}
		return payload.Malformed
	}
	if _, err := c.bsd.Parse(text); err == nil {
		return payload.RFC3164
	}
	return payload.Malformed
}
