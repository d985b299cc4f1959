package syslog

import (
	"context"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"heliograph/drivers/udp/mmsg"
	payload "heliograph/firmware/conduit/payload/syslog"
	"heliograph/firmware/platform/counter"
)

// Stats counts what a source has received, and what of it did not cross.
type Stats struct {
	Received  atomic.Uint64 `count:"received_lines" help:"Lines that the link took."`
	Malformed atomic.Uint64 `count:"malformed_lines" help:"Of the received lines, those that are neither RFC 5424 nor RFC 3164; they cross all the same."`
	Truncated atomic.Uint64 `count:"truncated_lines" help:"Of the received lines, those longer than 64 KiB, which cross truncated to that."`

	Refused  atomic.Uint64 `count:"refused_lines" help:"Lines that the link did not take."`
	Overlong atomic.Uint64 `count:"overlong_lines" help:"Lines lost because they, or their octet count, were longer than 1 MiB; the connection was closed."`
	Cut      atomic.Uint64 `count:"cut_lines" help:"Lines lost because their connection ended within them."`
	Slow     atomic.Uint64 `count:"slow_lines" help:"Lines lost because they took longer than 30 s; the connection was closed."`
	Empty    atomic.Uint64 `count:"empty_datagrams" help:"Datagrams without a byte in them."`

	Handshakes atomic.Uint64 `count:"failed_handshakes" help:"TLS connections closed because their handshake failed or took longer than 10 s."`
	Idle       atomic.Uint64 `count:"idle_connections" help:"Connections closed after an hour without a line."`
	Evicted    atomic.Uint64 `count:"evicted_connections" help:"Connections closed to make room for new ones before their sender had closed them; a line on its way may be lost."`
	Open       atomic.Uint64 `gauge:"open_connections" help:"TCP and TLS connections now."`

	KernelDatagrams   atomic.Uint64 `count:"kernel_dropped_datagrams" help:"Datagrams lost because the kernel's receive buffer was full."`
	KernelConnections atomic.Uint64 `count:"kernel_dropped_connections" help:"Attempts to connect that the kernel dropped because the accept queue was full; senders try again, so one connection may count several times."`
}

// What is missed, as source.Port has it.
const (
	missedDatagrams = "datagrams that the kernel dropped"
	missedOverlong  = "lines longer than 1 MiB"
	missedSlow      = "lines that took longer than 30 s"
	missedCut       = "lines cut off by the end of their connection"
	missedEvicted   = "or more lines of connections that made room for new ones"
)

// watchDrops counts as missed what the kernel drops, until ctx ends.
func (s *Source) watchDrops(ctx context.Context) {
	tick := time.NewTicker(dropsEvery)
	defer tick.Stop()
	for before := uint64(0); ; {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		now, _ := s.dropped()
		s.port.Missed(now-before, missedDatagrams)
		before = now
	}
}

// dropped returns what the kernel has dropped.
func (s *Source) dropped() (datagrams, connections uint64) {
	for _, l := range s.listeners {
		if l.transport == payload.UDP {
			datagrams += l.drops.count()
		} else {
			connections += l.drops.count()
		}
	}
	return datagrams, connections
}

// Counters implements counter.Source.
func (s *Source) Counters() []counter.Set {
	datagrams, connections := s.dropped()
	s.stats.KernelDatagrams.Store(datagrams)
	s.stats.KernelConnections.Store(connections)
	s.stats.Open.Store(uint64(s.open.Len()))
	return []counter.Set{counter.Of("syslog_source", s.name, &s.stats)}
}

// drops counts what the kernel drops at a listener, over all the sockets that
// the listener has had. The zero value is ready.
type drops struct {
	mu     sync.Mutex
	socket syscall.RawConn // nil while there is none
	sum    mmsg.Drops
	total  uint64
}

// follow counts the drops of a new socket from now on.
func (d *drops) follow(c syscall.Conn) error {
	raw, err := c.SyscallConn()
	if err != nil {
		return err
	}
	d.count() // of the one before
	d.mu.Lock()
	defer d.mu.Unlock()
	d.socket = raw
	d.sum.Restart()
	return nil
}

// count asks the kernel, which counts also while nothing is read. After the
// socket was closed the last total stands.
func (d *drops) count() uint64 {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.socket == nil {
		return d.total
	}
	_ = d.socket.Control(func(fd uintptr) {
		if m, err := mmsg.ReadMemInfo(int(fd)); err == nil {
			d.total = d.sum.Add(m.Drops)
		}
	})
	return d.total
}
