package console

import (
	"net"
	"strings"
	"testing"
	"time"

	"heliograph/ci/await"
	"heliograph/rootfs/console"
)

func TestAConsoleOnTheNetworkAnswers(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	go func() {
		c, err := l.Accept()
		if err != nil {
			return
		}
		defer c.Close()
		for key := make([]byte, 1); ; {
			if _, err := c.Read(key); err != nil {
				return
			}
			if key[0] == console.Enquiry {
				console.Frame(c, "status", []byte("{}"))
			}
		}
	}()
	d, err := Open("tcp://" + l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	if got, err := Ask(d, console.Enquiry, "status", await.Bound); err != nil || string(got) != "{}" {
		t.Errorf("got %q, %v", got, err)
	}
	if _, err := Ask(d, 'd', "diagnostics", time.Millisecond); err == nil ||
		!strings.Contains(err.Error(), "no answer") {
		t.Errorf("got %v, want no answer", err)
	}
	_ = l.Close()
	if _, err := Open("tcp://" + l.Addr().String()); err == nil ||
		!strings.Contains(err.Error(), "connection refused") {
		t.Errorf("got %v, want that nothing is there", err)
	}
}
