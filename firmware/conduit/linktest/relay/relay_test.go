package relay

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"os"
	"testing"
	"time"

	"heliograph/firmware/conduit/linktest"

	"github.com/creack/pty"
)

const bound = 10 * time.Second // generous: what takes longer has failed

// run starts a relay and returns what stops it and gives its error.
func run(t *testing.T, task func(context.Context) error) (stop func() error) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- task(ctx) }()
	stop = func() error {
		cancel()
		select {
		case err := <-ended:
			ended <- err
			return err
		case <-time.After(bound):
			t.Error("the relay still runs after its context ended")
			return nil
		}
	}
	t.Cleanup(func() { _ = stop() })
	return stop
}

// udp returns the near and the far end of a relay.
func udp(t *testing.T, link *linktest.Link) (near net.Conn, far *net.UDPConn, relay *UDP, stop func() error) {
	t.Helper()
	far, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	_ = far.SetReadBuffer(4 << 20)
	if relay, err = NewUDP("127.0.0.1:0", far.LocalAddr().String(), link); err != nil {
		t.Fatal(err)
	}
	if near, err = net.Dial("udp4", relay.Address()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _, _ = near.Close(), far.Close() })
	return near, far, relay, run(t, relay.Run)
}

func TestUDPRelaysEachDatagram(t *testing.T) {
	near, far, relay, stop := udp(t, linktest.New(1, linktest.Profile{}))
	buffer := make([]byte, 4096)
	_ = far.SetReadDeadline(time.Now().Add(bound))
	for i := range 500 {
		want := bytes.Repeat([]byte{byte(i)}, 1+i*3%1472)
		if _, err := near.Write(want); err != nil {
			t.Fatal(err)
		}
		if i == 100 {
			_, _ = near.Write(make([]byte, 3000)) // too long for any link: not relayed
		}
		n, err := far.Read(buffer)
		if err != nil || !bytes.Equal(buffer[:n], want) {
			t.Fatalf("datagram %d: got %d bytes, %v; want %d", i, n, err, len(want))
		}
	}
	if got := relay.Oversize(); got != 1 {
		t.Errorf("Oversize = %d, want 1", got)
	}
	if err := stop(); err != nil {
		t.Errorf("Run = %v, want nil", err)
	}
}

func TestUDPImpairsAndAccountsForIt(t *testing.T) {
	link := linktest.New(1, linktest.Profile{Loss: 0.1, Duplicate: 0.1, Reorder: 0.2})
	near, far, relay, _ := udp(t, link)
	const n = 2000
	for i := range n {
		if _, err := near.Write(binary.BigEndian.AppendUint32(nil, uint32(i))); err != nil {
			t.Fatal(err)
		}
		for end := time.Now().Add(bound); link.Counts().Datagrams+256 < uint64(i) && time.Now().Before(end); {
			time.Sleep(time.Millisecond) // so that only the link loses
		}
	}
	buffer, got := make([]byte, 4096), uint64(0)
	for end := time.Now().Add(bound); time.Now().Before(end); {
		c := link.Counts()
		if c.Datagrams == n && c.Datagrams == c.Lost+c.Delivered-c.Duplicated && got == c.Delivered {
			break // all, those that were held for reordering too
		}
		_ = far.SetReadDeadline(time.Now().Add(50 * time.Millisecond))
		if _, err := far.Read(buffer); err == nil {
			got++
		}
	}
	if c := link.Counts(); got != c.Delivered || c.Datagrams != n || c.Lost+c.Delivered-c.Duplicated != n || relay.Unsent() != 0 {
		t.Errorf("received %d, counted %+v, unsent %d; want what the link delivered of %d", got, c, relay.Unsent(), n)
	}
}

func TestUDPGoesOnWithoutAListener(t *testing.T) {
	near, far, relay, stop := udp(t, linktest.New(1, linktest.Profile{}))
	at := far.LocalAddr().(*net.UDPAddr)
	_ = far.Close()
	for range 50 {
		if _, err := near.Write([]byte("nobody")); err != nil {
			t.Fatal(err)
		}
	}
	again, err := net.ListenUDP("udp4", at)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = again.Close() }()
	buffer := make([]byte, 100)
	for end := time.Now().Add(bound); ; {
		if _, err := near.Write([]byte("back")); err != nil {
			t.Fatal(err)
		}
		_ = again.SetReadDeadline(time.Now().Add(50 * time.Millisecond))
		if n, err := again.Read(buffer); err == nil && string(buffer[:n]) == "back" {
			break
		}
		if time.Now().After(end) {
			t.Fatal("nothing arrived after the listener came back")
		}
	}
	if err := stop(); err != nil || relay.Unsent() != 0 {
		t.Errorf("Run = %v, unsent %d; want nil, 0", err, relay.Unsent())
	}
}

func TestBadUDPAddresses(t *testing.T) {
	for _, c := range [][2]string{{"127.0.0.1", "127.0.0.1:1"}, {"127.0.0.1:0", "nowhere"}, {"192.0.2.1:0", "127.0.0.1:1"}} {
		if _, err := NewUDP(c[0], c[1], linktest.New(1, linktest.Profile{})); err == nil {
			t.Errorf("NewUDP(%q, %q) = nil, want an error", c[0], c[1])
		}
	}
}

// ptys returns two raw pseudo terminals joined by a relay: TX's and RX's side.
func ptys(t *testing.T, link *linktest.Link) (tx, rx *os.File, stream *Stream, stop func() error) {
	t.Helper()
	var masters, slaves [2]*os.File
	for i := range masters {
		master, slave, err := pty.Open()
		if err != nil {
			t.Fatal(err)
		}
		if err := raw(slave); err != nil {
			t.Fatal(err)
		}
		masters[i], slaves[i] = master, slave
		t.Cleanup(func() { _, _ = master.Close(), slave.Close() })
	}
	stream = NewStream(masters[1], masters[0], link)
	return slaves[0], slaves[1], stream, run(t, stream.Run)
}

func TestStreamRelaysBetweenTerminals(t *testing.T) {
	tx, rx, stream, stop := ptys(t, linktest.New(1, linktest.Profile{}))
	want := make([]byte, 3000)
	for i := range want {
		want[i] = byte(i * 7)
	}
	got := make([]byte, len(want))
	for range 10 {
		if _, err := tx.Write(want); err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadFull(rx, got); err != nil || !bytes.Equal(got, want) {
			t.Fatalf("got other bytes than were sent, or %v", err)
		}
	}
	if err := stop(); err != nil || stream.Unsent() != 0 {
		t.Errorf("Run = %v, unsent %d; want nil, 0", err, stream.Unsent())
	}
}

func TestAFarEndThatDoesNotReadDoesNotPushBack(t *testing.T) {
	tx, _, stream, stop := ptys(t, linktest.New(1, linktest.Profile{}))
	sent := make(chan error, 1)
	go func() {
		_, err := tx.Write(make([]byte, 1<<20))
		sent <- err
	}()
	select {
	case err := <-sent:
		if err != nil {
			t.Fatal(err)
		}
	case <-time.After(2 * bound):
		t.Fatal("the near end still waits for a far end that does not read")
	}
	if stream.Unsent() == 0 {
		t.Error("Unsent = 0, want what the far end did not take")
	}
	if err := stop(); err != nil {
		t.Errorf("Run = %v, want nil", err)
	}
}

func TestStreamOutlivesAClosedTerminal(t *testing.T) {
	txMaster, txSlave, err := pty.Open()
	if err != nil {
		t.Fatal(err)
	}
	path := txSlave.Name()
	_ = txSlave.Close() // no program has it open: the master reads EIO
	out, in := io.Pipe()
	stop := run(t, NewStream(in, txMaster, linktest.New(1, linktest.Profile{})).Run)
	defer func() { _, _, _ = stop(), txMaster.Close(), out.Close() }()
	for _, word := range []string{"first", "again"} {
		tx, err := os.OpenFile(path, os.O_RDWR, 0)
		if err != nil {
			t.Fatal(err)
		}
		if err := raw(tx); err != nil {
			t.Fatal(err)
		}
		if _, err := tx.WriteString(word); err != nil {
			t.Fatal(err)
		}
		got := make([]byte, len(word))
		if _, err := io.ReadFull(out, got); err != nil || string(got) != word {
			t.Errorf("got %q, %v; want %q", got, err, word)
		}
		_ = tx.Close()
	}
}

func TestStreamEnds(t *testing.T) {
	perfect := linktest.New(1, linktest.Profile{})
	t.Run("input ends", func(t *testing.T) {
		var out bytes.Buffer
		if err := NewStream(&out, bytes.NewReader([]byte("all")), perfect).Run(t.Context()); err != nil || out.String() != "all" {
			t.Errorf("Run = %v, relayed %q; want nil, all of it", err, out.String())
		}
	})
	t.Run("context, reader without deadlines", func(t *testing.T) {
		from, to := io.Pipe()
		defer func() { _ = to.Close() }()
		if err := run(t, NewStream(io.Discard, from, perfect).Run)(); err != nil {
			t.Errorf("Run = %v, want nil", err)
		}
	})
	t.Run("context, writer that blocks", func(t *testing.T) {
		nobody, to := io.Pipe()
		defer func() { _ = nobody.Close() }()
		if err := run(t, NewStream(to, bytes.NewReader([]byte("all")), perfect).Run)(); err != nil && !errors.Is(err, io.ErrClosedPipe) {
			t.Errorf("Run = %v, want an end", err)
		}
	})
	t.Run("output fails", func(t *testing.T) {
		nobody, to := io.Pipe()
		_ = nobody.CloseWithError(errors.New("broken"))
		more, feed := io.Pipe()
		defer func() { _ = feed.Close() }()
		go func() { _, _ = feed.Write([]byte("x")) }()
		if err := NewStream(to, more, perfect).Run(t.Context()); err == nil {
			t.Error("Run = nil, want the writer's error")
		}
	})
}
