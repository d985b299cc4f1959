package transport

import (
	"bufio"
	"bytes"
	"encoding/hex"
	"errors"
	"os"
	"strings"
	"testing"

	"github.com/gopcua/opcua/ua"
	"github.com/gopcua/opcua/uacp"
)

func golden(t testing.TB, name string) []byte {
	t.Helper()
	f, err := os.Open("testdata/golden.txt")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for s := bufio.NewScanner(f); s.Scan(); {
		if field := strings.Fields(s.Text()); len(field) == 2 && field[0] == name {
			b, err := hex.DecodeString(field[1])
			if err != nil {
				t.Fatal(err)
			}
			return b
		}
	}
	t.Fatalf("no golden vector %q", name)
	return nil
}

func TestALongReasonIsTruncatedBetweenCharacters(t *testing.T) {
	long := &Error{Code: ua.StatusBadTCPServerTooBusy, Reason: strings.Repeat("ü", maxString)}
	got := ParseError(long.Append(nil)[HeaderSize:])
	if want := strings.Repeat("ü", maxString/2-1); got.Reason != want {
		t.Errorf("got %d bytes, ending in %q; want %d", len(got.Reason), got.Reason[len(got.Reason)-3:], len(want))
	}
}

func TestMessagesEqualTheGoldenVectors(t *testing.T) {
	hello := HelloBody{
		ReceiveBuffer: 65535, SendBuffer: 65535, MaxMessage: 1 << 24, MaxChunks: 4096,
		EndpointURL: "opc.tcp://plant:4840/ua",
	}
	ack := HelloBody{ReceiveBuffer: 65535, SendBuffer: 8192, MaxMessage: 1 << 24, MaxChunks: 10}
	for name, got := range map[string][]byte{
		"hello":       hello.AppendHello(nil),
		"acknowledge": ack.AppendAcknowledge(nil),
		"error":       (&Error{Code: ua.StatusBadTCPServerTooBusy, Reason: "too lo"}).Append(nil),
	} {
		t.Run(name, func(t *testing.T) {
			if want := golden(t, name); !bytes.Equal(got, want) {
				t.Errorf("got  %x\nwant %x", got, want)
			}
			h, err := ParseHeader(got)
			if err != nil || int(h.Size) != len(got) {
				t.Errorf("header: got size %d, error %v; want %d", h.Size, err, len(got))
			}
		})
	}
	if got, err := ParseHello(golden(t, "hello")[HeaderSize:]); err != nil || got != hello {
		t.Errorf("hello: got %+v, %v; want %+v", got, err, hello)
	}
	if got, err := ParseAcknowledge(golden(t, "acknowledge")[HeaderSize:]); err != nil || got != ack {
		t.Errorf("acknowledge: got %+v, %v; want %+v", got, err, ack)
	}
}

func TestAnotherDecoderReadsOurMessages(t *testing.T) {
	hello := HelloBody{ReceiveBuffer: 1, SendBuffer: 2, MaxMessage: 3, MaxChunks: 4, EndpointURL: "opc.tcp://x"}
	var hel uacp.Hello
	if _, err := hel.Decode(hello.AppendHello(nil)[HeaderSize:]); err != nil {
		t.Fatal(err)
	}
	if hel.ReceiveBufSize != 1 || hel.SendBufSize != 2 || hel.MaxMessageSize != 3 || hel.MaxChunkCount != 4 ||
		hel.EndpointURL != "opc.tcp://x" {
		t.Errorf("got %+v, want %+v", hel, hello)
	}
	var e uacp.Error
	if _, err := e.Decode((&Error{Code: ua.StatusBadTimeout, Reason: "late"}).Append(nil)[HeaderSize:]); err != nil {
		t.Fatal(err)
	}
	if ua.StatusCode(e.ErrorCode) != ua.StatusBadTimeout || e.Reason != "late" {
		t.Errorf("got %+v, want Bad_Timeout late", e)
	}
}

func TestHeaderRefusesWhatNoVersionAllows(t *testing.T) {
	for name, c := range map[string]struct {
		bytes string
		want  ua.StatusCode
	}{
		"cut off":                    {"MSGF\x08\x00\x00", ua.StatusBadTCPInternalError},
		"unknown type":               {"GET \x08\x00\x00\x00", ua.StatusBadTCPMessageTypeInvalid},
		"lower case":                 {"msgF\x08\x00\x00\x00", ua.StatusBadTCPMessageTypeInvalid},
		"unknown flag":               {"MSGX\x08\x00\x00\x00", ua.StatusBadTCPMessageTypeInvalid},
		"open channel in two chunks": {"OPNC\x08\x00\x00\x00", ua.StatusBadTCPMessageTypeInvalid},
		"smaller than itself":        {"MSGF\x07\x00\x00\x00", ua.StatusBadTCPInternalError},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := ParseHeader([]byte(c.bytes)); !errors.Is(err, c.want) {
				t.Errorf("got %v, want %v", err, c.want)
			}
		})
	}
}

func TestNegotiationKeepsBothEndsLimits(t *testing.T) {
	ours, err := Limits{ReceiveBuffer: 20000, SendBuffer: 30000, MaxMessage: 1000, MaxChunks: 5}.withDefaults()
	if err != nil {
		t.Fatal(err)
	}
	ack, got, err := ours.acknowledge(HelloBody{ReceiveBuffer: 10000, SendBuffer: 65536, MaxMessage: 7, MaxChunks: 9})
	if err != nil {
		t.Fatal(err)
	}
	want := Negotiated{ReceiveChunk: 20000, SendChunk: 10000, MaxMessage: 1000, MaxChunks: 5, PeerMessage: 7,
		PeerChunks: 9}
	if got != want {
		t.Errorf("server: got %+v, want %+v", got, want)
	}
	if ack.ReceiveBuffer != 20000 || ack.SendBuffer != 10000 {
		t.Errorf("acknowledge: got %+v", ack)
	}
	// a server that raises the client's limits does not get its way
	got, err = ours.accept(HelloBody{ReceiveBuffer: 1 << 30, SendBuffer: 1 << 30})
	if err != nil || got.ReceiveChunk != 20000 || got.SendChunk != 30000 {
		t.Errorf("client: got %+v, %v", got, err)
	}
	if _, _, err := ours.acknowledge(HelloBody{ReceiveBuffer: 8191, SendBuffer: 65536}); !errors.Is(err,
		ua.StatusBadConnectionRejected) {
		t.Errorf("tiny buffer: got %v, want Bad_ConnectionRejected", err)
	}
}

func TestHostPort(t *testing.T) {
	for in, want := range map[string]string{
		"opc.tcp://plant":             "plant:4840",
		"opc.tcp://10.0.0.5:4841/a/b": "10.0.0.5:4841",
		"opc.tcp://[fe80::1]:1":       "[fe80::1]:1",
		"http://plant":                "",
		"opc.tcp://":                  "",
		"opc.tcp://a:b":               "",
		"opc.tcp://%zz":               "",
	} {
		got, err := HostPort(in)
		if got != want || (err == nil) != (want != "") {
			t.Errorf("HostPort(%q): got %q, %v; want %q", in, got, err, want)
		}
	}
}

func FuzzMessages(f *testing.F) {
	for _, name := range []string{"hello", "acknowledge", "error"} {
		f.Add(golden(f, name))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		h, err := ParseHeader(b)
		if err != nil {
			return
		}
		if got := h.Append(nil); !bytes.Equal(got, b[:HeaderSize]) {
			t.Fatalf("header: got %x, want %x", got, b[:HeaderSize])
		}
		body := b[HeaderSize:]
		if m, err := ParseHello(body); err == nil {
			if len(m.EndpointURL) >= maxString {
				t.Fatalf("URL of %d bytes taken", len(m.EndpointURL))
			}
			again, err := ParseHello(m.AppendHello(nil)[HeaderSize:])
			if err != nil || again != m {
				t.Fatalf("hello: got %+v, %v; want %+v", again, err, m)
			}
		}
		if m, err := ParseAcknowledge(body); err == nil && !bytes.Equal(m.AppendAcknowledge(nil)[HeaderSize:], body) {
			t.Fatalf("acknowledge does not re-encode: %x", body)
		}
		if e := ParseError(body); e.Code>>30 != 2 {
			t.Fatalf("an error with the good code %v", e.Code)
		}
	})
}
