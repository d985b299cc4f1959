package syslog

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
)

func TestFraming(t *testing.T) {
	long := strings.Repeat("x", maxMessage+5)
	for _, c := range []struct {
		name, in  string
		want      []string
		truncated bool
		err       error
	}{
		{"octet counted", "3 abc2 \n\x00", []string{"abc", "\n\x00"}, false, io.EOF},
		{"LF and NUL", "<1>a\n<2>b\x00\n\n<3>c", []string{"<1>a", "<2>b", "<3>c"}, false, io.EOF},
		{"mixed on one connection", "3 abc<1>d\n1 e", []string{"abc", "<1>d", "e"}, false, io.EOF},
		{"digits that are no count", "12ab\n12345678 x\n7\n", []string{"12ab", "12345678 x", "7"}, false, io.EOF},
		{"count beyond the stream", "9 abc", nil, false, errCut},
		{"count beyond every bound", "9999999 abc", nil, false, errOverlong},
		{"long line", long + "\n<1>b\n", []string{long[:maxMessage], "<1>b"}, true, io.EOF},
		{"long counted", fmt.Sprintf("%d %s1 b", len(long), long), []string{long[:maxMessage], "b"}, true, io.EOF},
		{"endless line", strings.Repeat("x", maxDiscard+2), nil, false, errOverlong},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := &framer{r: bufio.NewReaderSize(strings.NewReader(c.in), 64), begin: func(bool) {}}
			for i := 0; ; i++ {
				text, truncated, err := f.next()
				if err != nil {
					if i != len(c.want) || !errors.Is(err, c.err) {
						t.Errorf("after %d messages: got %v, want %v after %d", i, err, c.err, len(c.want))
					}
					return
				}
				if i >= len(c.want) || string(text) != c.want[i] || truncated != (c.truncated && i == 0) {
					t.Fatalf("message %d: got %.40q (%d bytes, truncated %v)", i, text, len(text), truncated)
				}
			}
		})
	}
}

func FuzzFramer(f *testing.F) {
	f.Add([]byte("3 abc<1>d\n1 e"))
	f.Add([]byte("<34>Oct 11 22:14:15 h su: y\n"))
	f.Fuzz(func(t *testing.T, in []byte) {
		fr := &framer{r: bufio.NewReaderSize(bytes.NewReader(in), 64), begin: func(bool) {}}
		c, total := newClassifier(), 0
		for {
			text, _, err := fr.next()
			if err != nil {
				break
			}
			total += len(text)
			if !bytes.Contains(in, text) {
				t.Errorf("%q is not in %q", text, in)
			}
			_ = c.format(text)
		}
		if total > len(in) {
			t.Errorf("got %d bytes out of %d", total, len(in))
		}
	})
}
