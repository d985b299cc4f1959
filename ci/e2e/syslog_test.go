package e2e

import (
	"encoding/json"
	"fmt"
	"net"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"heliograph/ci/await"
	"heliograph/ci/rig"
	"heliograph/firmware/platform/counter"
)

// counterOf returns a counter of a role as /status.json shows it.
func counterOf(t *testing.T, r *rig.Role, part, name string) uint64 {
	t.Helper()
	body, _, err := r.Get("/status.json")
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
	g, in, lines = newSyslog(t)
	text := string(rig.Read(t, g.TX.Config))
	udp := fmt.Sprintf("listen = [\"udp://127.0.0.1:%d\", ", in)
	rig.Write(t, g.TX.Config, []byte(strings.Replace(text, "listen = [", udp, 1)))
	g.Start()
	g.Ready()
	return g, in, lines
}

func TestLinesSentToAStoppedTransmitterAreDeliveredOrCounted(t *testing.T) {
	g, in, lines := syslogGateway(t)
	g.TX.Send(syscall.SIGSTOP)
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
	g.TX.Send(syscall.SIGCONT)
	var received, dropped uint64
	await.NoError(t, "every line is received or counted", func() error {
		received = counterOf(t, g.TX, "syslog_source", "received_lines")
		if dropped = counterOf(t, g.TX, "syslog_source", "kernel_dropped_datagrams"); received+dropped != sent {
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
	await.NoError(g.t, "every line that was received is accounted for and at the collector", func() error {
		a := g.balanced("syslog")
		received, got := counterOf(g.t, g.TX, "syslog_source", "received_lines"), uint64(lines.count())
		if a.Sent != received || got < a.Delivered {
			return fmt.Errorf("%d received, %d sent, %d delivered, %d at the collector", received, a.Sent, a.Delivered,
				got)
		}
		return nil
	})
}

func TestOneLineConnectionsBesideIdleOnesAreDeliveredOrCounted(t *testing.T) {
	t.Parallel()
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
	await.NoError(t, "every line is received or its connection counted", func() error {
		received = counterOf(t, g.TX, "syslog_source", "received_lines")
		if evicted = counterOf(t, g.TX, "syslog_source", "evicted_connections"); received+evicted < senders*each {
			return fmt.Errorf("%d lines received and %d connections evicted of %d", received, evicted, senders*each)
		}
		return nil
	})
	t.Logf("%d received, %d connections evicted", received, evicted)
	if evicted < 1 || received < senders*each*9/10 {
		t.Errorf("got %d lines of %d, want nine of ten, and at least one idle connection evicted", received,
			senders*each)
	}
	g.forwarded(lines)
}
