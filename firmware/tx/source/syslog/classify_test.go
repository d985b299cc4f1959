package syslog

import (
	"testing"

	payload "heliograph/firmware/conduit/payload/syslog"
)

func TestFormats(t *testing.T) {
	c := newClassifier()
	for text, want := range map[string]payload.Format{
		"<34>1 2003-10-11T22:14:15.003Z mymachine.example.com su - ID47 - BOM'su root' failed": payload.RFC5424,
		"<34>Oct 11 22:14:15 mymachine su: 'su root' failed for lonvick on /dev/pts/8":         payload.RFC3164,
		"<34>Oct 11 22:14:15 mymachine su: with its line feed\n":                               payload.RFC3164,
		"":            payload.Malformed,
		"hello":       payload.Malformed,
		"<999>1 - - ": payload.Malformed,
		"<34>1 bad":   payload.Malformed,
	} {
		if got := c.format([]byte(text)); got != want {
			t.Errorf("%q: got %d, want %d", text, got, want)
		}
	}
}
