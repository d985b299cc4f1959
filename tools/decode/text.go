package decode

import (
	"fmt"
	"strings"
	"time"
)

const stamp = "2006-01-02T15:04:05.000000Z07:00"

// Text is the frame in a line, and each of its records in an indented one.
func (f *Frame) Text() string {
	var l line
	if f.Time.IsZero() {
		l.word(fmt.Sprintf("@%d", f.Offset))
	} else {
		l.word(f.Time.UTC().Format(stamp))
	}
	l.word(f.Kind)
	l.text("session", f.Session)
	if f.Session != "" {
		l.field("seq", f.Sequence)
	}
	l.text("class", f.Class)
	number(&l, "gen", f.Generation)
	number(&l, "index", f.Index)
	number(&l, "row", f.Row)
	if f.Lane != nil {
		l.field("lane", fmt.Sprintf("%d/%d", *f.Lane, f.Lanes))
	}
	l.field("size", f.Size)
	l.field("crc", f.CRC)
	l.text("tag", f.Tag)
	number(&l, "epoch", f.Epoch)
	number(&l, "sources", f.Sources)
	for i := range f.Records {
		l.WriteString("\n    ")
		f.Records[i].text(&l)
	}
	return l.String()
}

func (r *Record) text(l *line) {
	l.WriteString(r.Kind)
	if r.Piece != "" || r.Kind == malformed {
		l.text("piece", r.Piece)
		l.field("size", r.Size)
	}
	l.text("channel", r.Channel)
	number(l, "epoch", r.Epoch)
	number(l, "seq", r.Sequence)
	l.text("flags", strings.Join(r.Flags, ","))
	if !r.Time.IsZero() {
		l.field("time", r.Time.Format(time.RFC3339Nano))
	}
	l.text("state", r.State)
	number(l, "from", r.From)
	number(l, "to", r.To)
	number(l, "keys", r.Keys)
	number(l, "entries", r.Entries)
	number(l, "packed", r.Packed)
	number(l, "unpacked", r.Unpacked)
	l.text("reach", r.Reach)
	l.text("pass", r.Pass)
	l.text("hash", r.Hash)
	number(l, "conflated", r.Conflated)
	number(l, "dropped", r.Dropped)
	number(l, "earlier", r.Earlier)
	l.text("uptime", r.Uptime)
	if r.Reason != "" {
		l.field("reason", `"`+r.Reason+`"`)
	}
	if r.Key != nil {
		l.field("key", `"`+*r.Key+`"`)
	}
	if r.Payload != nil {
		l.field("payload", *r.Payload)
		l.word(`"` + r.Excerpt + `"`)
	}
}

// line is a line of words.
type line struct{ strings.Builder }

func (l *line) word(s string) {
	if l.Len() > 0 {
		l.WriteByte(' ')
	}
	l.WriteString(s)
}

func (l *line) field(name string, value any) { l.word(fmt.Sprintf("%s=%v", name, value)) }

func (l *line) text(name, value string) {
	if value != "" {
		l.field(name, value)
	}
}

func number[T any](l *line, name string, value *T) {
	if value != nil {
		l.field(name, *value)
	}
}
