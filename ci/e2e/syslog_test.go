package e2e

import (
	"encoding/json"
	"fmt"
	"net"
	"sync"
	"syscall"
	"testing"
	"time"

	"heliograph/firmware/conduit/linktest"
	"heliograph/firmware/platform/counter"
)

// counterOf returns a counter of a role as /status.json shows it.
func counterOf(t *testing.T, port int, part, name string) uint64 {
	t.Helper()
	body, _, err := get(port, "/status.json")
	var s struct{ Counters []counter.Set }
	if err == nil {
		err = json.Unmarshal([]byte(body), &s)
	}
	if err != nil {
		t.Fatal(err)
	}
	for _, set := range s.Counters {
		for _, v := range set.Values {
			if set.Part == part && v.Name == name {
				return v.Value
			}
		}
	}
	t.Fatalf("/status.json has no counter %s of %s", name, part)
	return 0
}

// syslogGateway carries lines from a port, over TCP and UDP, to a collector.
func syslogGateway(t *testing.T) (g *gateway, in int, lines *collector) {
	t.Helper()
	in, out := port(t), port(t)
	lines = &collector{}
	lines.listen(t, out)
	g = newGateway(t, linktest.Profile{},
		fmt.Sprintf("[[syslog]]\nchannel = \"syslog\"\nlisten = [\"udp://127.0.0.1:%[1]d\", \"tcp://127.0.0.1:%[1]d\"]\n", in),
		fmt.Sprintf("[[syslog]]\nchannel = \"syslog\"\nforward = \"tcp://127.0.0.1:%d\"\n", out))
	g.startRX()
	g.startTX()
	g.ready()
	return g, in, lines
}

func (c *collector) count() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.lines)
}

func TestLinesSentToAStoppedTransmitterAreDeliveredOrCounted(t *testing.T) {
	g, in, lines := syslogGateway(t)
	signal(t, g.tx, syscall.SIGSTOP)
	conn, err := net.Dial("udp", fmt.Sprintf("127.0.0.1:%d", in))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	const sent = 60_000
	for i := range sent {
		if _, err := fmt.Fprintf(conn, "<34>1 2003-10-11T22:14:15Z host app - - - line %d", i); err != nil {
			t.Fatal(err)
		}
	}
	signal(t, g.tx, syscall.SIGCONT)
	var received, dropped uint64
	eventually(t, "every line is received or counted", func() error {
		received = counterOf(t, g.txStatus, "syslog_source", "received_lines")
		if dropped = counterOf(t, g.txStatus, "syslog_source", "kernel_dropped_datagrams"); received+dropped != sent {
			return fmt.Errorf("%d received and %d dropped by the kernel of %d", received, dropped, sent)
		}
		return nil
	})
	t.Logf("%d received, %d dropped by the kernel", received, dropped)
	g.forwarded(lines)
}

// forwarded waits until what the transmitter received is accounted for, and what
// counts as delivered is at the collector.
func (g *gateway) forwarded(lines *collector) {
	g.t.Helper()
	eventually(g.t, "every line that was received is accounted for and at the collector", func() error {
		sent, delivered, _, _ := g.balanced("syslog")
		received, got := counterOf(g.t, g.txStatus, "syslog_source", "received_lines"), uint64(lines.count())
		if sent != received || got < delivered {
			return fmt.Errorf("%d received, %d sent, %d delivered, %d at the collector", received, sent, delivered, got)
		}
		return nil
	})
}

func TestOneLineConnectionsBesideIdleOnesAreDeliveredOrCounted(t *testing.T) {
	g, in, lines := syslogGateway(t)
	for range 256 {
		conn, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", in))
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
	}
	const senders, each = 16, 500
	var wg sync.WaitGroup
	for range senders {
		wg.Go(func() {
			for i := range each {
				conn, err := net.DialTimeout("tcp", fmt.Sprintf("127.0.0.1:%d", in), time.Minute)
				if err != nil {
					t.Error(err)
					return
				}
				fmt.Fprintf(conn, "<34>1 2003-10-11T22:14:15Z host app - - - line %d\n", i)
				conn.Close()
			}
		})
	}
	wg.Wait()
	var received, evicted uint64
	eventually(t, "every line is received or its connection counted", func() error {
		received = counterOf(t, g.txStatus, "syslog_source", "received_lines")
		if evicted = counterOf(t, g.txStatus, "syslog_source", "evicted_connections"); received+evicted < senders*each {
			return fmt.Errorf("%d lines received and %d connections evicted of %d", received, evicted, senders*each)
		}
		return nil
	})
	t.Logf("%d received, %d connections evicted", received, evicted)
	if evicted < 1 || received < senders*each*9/10 {
		t.Errorf("got %d lines of %d, want nine of ten, and at least one idle connection evicted", received, senders*each)
	}
	g.forwarded(lines)
}

func signal(t *testing.T, p *process, s syscall.Signal) {
	t.Helper()
	if err := p.cmd.Process.Signal(s); err != nil {
		t.Fatal(err)
	}
}
