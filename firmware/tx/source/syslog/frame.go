package syslog

import (
	"bufio"
	"errors"
	"io"
)

// Errors that end a connection.
var (
	errOverlong = errors.New("message is longer than 1 MiB")
	errCut      = errors.New("stream ended within a counted message")
)

// framer reads messages off a stream (RFC 6587, RFC 5425 section 4.3).
type framer struct {
	r     *bufio.Reader
	begin func(started bool) // a message starts, or none is under way
	text  []byte
}

const maxCountDigits = 7

// next returns the next message, valid until the call after.
func (f *framer) next() (text []byte, truncated bool, err error) {
	f.begin(false)
	var c byte
	for {
		if c, err = f.r.ReadByte(); err != nil {
			return nil, false, err
		}
		if c != '\n' && c != 0 {
			break
		}
	}
	f.begin(true)
	f.text = f.text[:0]
	if cap(f.text) > 4<<10 {
		f.text = nil // one long line must not keep its memory
	}
	if c >= '1' && c <= '9' {
		return f.counted(c)
	}
	f.text = append(f.text, c)
	return f.delimited()
}

// counted reads an octet count that begins with c, and its message.
func (f *framer) counted(c byte) ([]byte, bool, error) {
	for c >= '0' && c <= '9' && len(f.text) < maxCountDigits {
		f.text = append(f.text, c)
		var err error
		if c, err = f.r.ReadByte(); err != nil {
			return nil, false, partial(err)
		}
	}
	return f.octets(c)
}

// octets reads the message behind the count in f.text, or the line that only
// began like one.
func (f *framer) octets(c byte) ([]byte, bool, error) {
	if c != ' ' {
		if err := f.r.UnreadByte(); err != nil {
			return nil, false, err
		}
		return f.delimited()
	}
	n := 0
	for _, d := range f.text {
		n = n*10 + int(d-'0')
	}
	if n > maxDiscard {
		return nil, false, errOverlong
	}
	f.text = f.text[:0]
	keep := min(n, maxMessage)
	for len(f.text) < keep { // grows with what came, not with the count
		chunk, err := f.r.Peek(min(keep-len(f.text), f.r.Size()))
		if len(chunk) == 0 {
			return nil, false, partial(err)
		}
		f.text = append(f.text, chunk...)
		_, _ = f.r.Discard(len(chunk))
	}
	if n > keep {
		if _, err := f.r.Discard(n - keep); err != nil {
			return nil, false, partial(err)
		}
	}
	return f.text, n > keep, nil
}

// delimited reads up to LF or NUL; the end of the stream ends a line too.
func (f *framer) delimited() ([]byte, bool, error) {
	truncated := false
	for seen := len(f.text); ; seen++ {
		c, err := f.r.ReadByte()
		if err == io.EOF {
			return f.text, truncated, nil
		}
		if err != nil {
			return nil, false, err
		}
		switch {
		case c == '\n' || c == 0:
			return f.text, truncated, nil
		case seen >= maxDiscard:
			return nil, false, errOverlong
		case len(f.text) < maxMessage:
			f.text = append(f.text, c)
		default:
			truncated = true
		}
	}
}

// partial returns errCut for the end of a stream within a counted message.
func partial(err error) error {
	if err == io.EOF {
		return errCut
	}
	return err
}
