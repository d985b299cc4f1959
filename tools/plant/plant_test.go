package plant

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/leodido/go-syslog/v4/rfc5424"
)

func TestAMessageTellsItsNumberAndItsTime(t *testing.T) {
	at := time.Unix(1_700_000_000, 123)
	n, got, ok := Parse("<13>host press: " + Message(7, at, "press/force", 1.5))
	if n != 7 || !got.Equal(at) || !ok {
		t.Errorf("got %d, %v, %v; want 7, %v, true", n, got, ok, at)
	}
}

func TestAnAlteredMessageIsNoticed(t *testing.T) {
	m := Message(7, time.Unix(1, 0), "press/force", 1.5)
	for i := range len(m) - 2 { // the last two close the text
		altered := m[:i] + string(m[i]^1) + m[i+1:]
		if _, _, ok := Parse(altered); ok {
			t.Errorf("byte %d: %s passes", i, altered)
		}
	}
	for _, s := range []string{"", "{", strings.Repeat(`{"n":1,"crc":"`, 2)} {
		if _, _, ok := Parse(s); ok {
			t.Errorf("%q passes", s)
		}
	}
}

func TestTheEndIsNoFaultButABrokenDeviceIs(t *testing.T) {
	asked, end := context.WithCancelCause(t.Context())
	end(errors.New("terminated signal received")) // as signal.NotifyContext says it
	if err := Run(asked, 100, nil, nil, nil); err != nil {
		t.Errorf("asked to end: got %v, want nil", err)
	}
	near, far := net.Pipe()
	_ = far.Close()
	if err := Run(t.Context(), 100, nil, []*Devices{{conn: near}}, nil); err == nil {
		t.Error("a broken device: got nil, want its error")
	}
}

// TestLinesOverTCPAreRFC5424 has another's parser read a line.
func TestLinesOverTCPAreRFC5424(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	d, err := NewDevices("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	conn, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if err := d.line(time.Unix(1, 123456789)); err != nil {
		t.Fatal(err)
	}
	d.Close()
	sent, err := io.ReadAll(conn)
	if err != nil {
		t.Fatal(err)
	}
	_, text, _ := bytes.Cut(sent, []byte(" "))
	if _, err := rfc5424.NewParser().Parse(text); err != nil {
		t.Errorf("%s: %v", text, err)
	}
}
