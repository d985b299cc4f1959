package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"testing"
	"testing/iotest"

	"heliograph/ci/await"
)

func TestSyslogSplitsBothFramings(t *testing.T) {
	for name, c := range map[string]struct {
		stream string
		want   []string
		err    error
	}{
		"octet counting":         {"5 <1>ab3 <2>", []string{"<1>ab", "<2>"}, nil},
		"a count with LF inside": {"6 <1>a\nb3 <2>", []string{"<1>a\nb", "<2>"}, nil},
		"a line each":            {"<1>a\n<2>b\n\n<3>c", []string{"<1>a", "<2>b", "<3>c"}, nil},
		"both":                   {"4 <1>a\n<2>b\n3 <3>", []string{"<1>a", "<2>b", "<3>"}, nil},
		"cut":                    {"9 <1>a", nil, io.ErrUnexpectedEOF},
		"cut within the count":   {"90", nil, io.ErrUnexpectedEOF},
		"longer than 1 MiB":      {"1048576 <1>a", nil, errMessage},
		"a long count":           {"99999999 <1>a", nil, errMessage},
		"an endless line":        {strings.Repeat("<", collectorMessage+1), nil, bufio.ErrTooLong},
		"empty messages":         {"\n\n\x00", nil, nil},
	} {
		t.Run(name, func(t *testing.T) {
			for _, r := range []io.Reader{strings.NewReader(c.stream), iotest.HalfReader(strings.NewReader(c.stream))} {
				s := bufio.NewScanner(r)
				s.Buffer(nil, collectorMessage)
				s.Split(splitSyslog)
				var got []string
				for s.Scan() {
					got = append(got, s.Text())
				}
				if !slices.Equal(got, c.want) || !errors.Is(s.Err(), c.err) {
					t.Errorf("got %q, %v; want %q, %v", got, s.Err(), c.want, c.err)
				}
			}
		})
	}
}

func FuzzSyslogSplit(f *testing.F) {
	for _, s := range []string{"5 <1>ab3 <2>", "<1>a\n\n", "99999999 ", "0 ", "12"} {
		f.Add([]byte(s), true)
	}
	f.Fuzz(func(t *testing.T, data []byte, atEOF bool) {
		n, token, err := splitSyslog(data, atEOF)
		if n < 0 || n > len(data) || len(token) > n || err != nil && token != nil {
			t.Errorf("%d bytes: advanced %d, a message of %d, %v", len(data), n, len(token), err)
		}
	})
}

func TestSyslogPrintsWhatArrives(t *testing.T) {
	address := await.FreeAddress(t)
	ctx, cancel := context.WithCancel(t.Context())
	out, in := io.Pipe()
	var notes bytes.Buffer
	ended := make(chan int, 1)
	go func() { ended <- run(ctx, []string{"syslog", address}, nil, in, &notes) }()
	lines := make(chan string, 1)
	go func() {
		for s := bufio.NewScanner(out); s.Scan(); {
			lines <- s.Text()
		}
	}()
	var stream net.Conn
	await.NoError(t, "it listens", func() (err error) { stream, err = net.Dial("tcp", address); return err })
	defer stream.Close()
	fmt.Fprint(stream, "11 <14>a\x1b[2Jé")
	if got := await.Receive(t, "the message over TCP", lines); got != "<14>a?[2Jé" {
		t.Errorf("got %q over TCP", got)
	}
	datagram, err := net.Dial("udp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer datagram.Close()
	fmt.Fprint(datagram, "<14>b\n")
	if got := await.Receive(t, "the message over UDP", lines); got != "<14>b" {
		t.Errorf("got %q over UDP", got)
	}
	cancel()
	if code := await.Receive(t, "the end", ended); code != 0 {
		t.Errorf("ended with %d: %s", code, notes.String())
	}
	if code, _, stderr := call(t, "", "syslog", "nowhere"); code != 2 || !strings.Contains(stderr,
		"such as 127.0.0.1:5601\n") {
		t.Errorf("an address without a port: %d, %q; want 2 and what to write", code, stderr)
	}
}
