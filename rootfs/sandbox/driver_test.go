package sandbox

import (
	"bufio"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"strings"
	"testing"
	"time"

	"heliograph/ci/await"
	"heliograph/drivers/drivertest"
	"heliograph/drivers/ethernet"
	"heliograph/drivers/ethernet/ethernettest"
	"heliograph/drivers/uart"
	"heliograph/drivers/udp"
)

// honest runs a role that uses its link through a driver, twice: a role that
// died is started again with the same link. While it waits, feed is called.
func honest(t *testing.T, d Direction, link *os.File, feed func(), arguments ...string) (said string) {
	t.Helper()
	t.Cleanup(func() { _ = link.Close() })
	for range 2 {
		s := spec(folder(t), d, link)
		s.Arguments = append([]string{arguments[0], s.State, "-"}, arguments[1:]...)
		c, err := Command(s)
		if err != nil {
			t.Fatal(err)
		}
		c.Path, c.Stderr = bench+"/stage", os.Stderr
		out, err := c.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := c.Start(); err != nil {
			t.Fatal(err)
		}
		lines := bufio.NewReader(out)
		if said, _ = lines.ReadString('\n'); said == "running\n" {
			feed()
			said, _ = lines.ReadString('\n')
		}
		if err := c.Wait(); err != nil {
			return err.Error() + ": " + said
		}
	}
	return strings.TrimSpace(said)
}

func TestDriversUseAHandedLink(t *testing.T) {
	root(t)
	for _, c := range []struct {
		name string
		run  func(t *testing.T) (got string)
		want string
	}{
		{"UDP, transmitter", udpTransmits, "done"},
		{"UDP, receiver", udpReceives, "word"},
		{"UART, transmitter", uartTransmits, "done"},
		{"UART, receiver", uartReceives, "word"},
		{"Ethernet, both", ethernetCarries, "done, " + strings.Repeat("x", 255)},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := c.run(t); got != c.want {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}

func udpTransmits(t *testing.T) string {
	far, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer far.Close()
	address := far.LocalAddr().String()
	link, err := udp.DialFile(address)
	if err != nil {
		t.Fatal(err)
	}
	got := honest(t, Transmit, link, nil, "transmit over udp", address)
	_ = far.SetReadDeadline(time.Now().Add(await.Bound))
	if n, _, err := far.ReadFrom(make([]byte, 2000)); n != 255 || err != nil {
		t.Errorf("%d bytes arrived, %v; want 255", n, err)
	}
	return got
}

func udpReceives(t *testing.T) string {
	address := fmt.Sprintf("127.0.0.1:%d", await.FreePort(t))
	link, err := udp.ListenFile(address)
	if err != nil {
		t.Fatal(err)
	}
	return honest(t, Receive, link, func() {
		near, err := net.Dial("udp", address)
		if err != nil {
			t.Fatal(err)
		}
		defer near.Close()
		if _, err := near.Write([]byte("word")); err != nil {
			t.Fatal(err)
		}
	}, "receive over udp", address)
}

func uartTransmits(t *testing.T) string {
	master, path := drivertest.OpenPTY(t)
	link, _, err := uart.OpenTransmitterFile(path, 921600)
	if err != nil {
		t.Fatal(err)
	}
	arrived := make(chan int64, 1)
	go func() { n, _ := io.CopyN(io.Discard, master, 2*100*255); arrived <- n }()
	got := honest(t, Transmit, link, nil, "transmit over uart")
	if got != "done" {
		return got
	}
	select {
	case <-arrived:
	case <-time.After(await.Bound):
		t.Error("not all of it arrived")
	}
	return got
}

func uartReceives(t *testing.T) string {
	master, path := drivertest.OpenPTY(t)
	link, _, err := uart.OpenReceiverFile(path, 921600)
	if err != nil {
		t.Fatal(err)
	}
	return honest(t, Receive, link, func() {
		if _, err := master.Write([]byte("word")); err != nil {
			t.Fatal(err)
		}
	}, "receive over uart")
}

func ethernetCarries(t *testing.T) string {
	ethernettest.Namespace(t, "that roles in the sandbox use an Ethernet link")
	ethernettest.Cable(t, "near0", "far0")
	log := slog.New(slog.NewTextHandler(io.Discard, nil))
	near, err := ethernet.OpenTransmitterFile(ethernet.Port{Interface: "near0"}, log)
	if err != nil {
		t.Fatal(err)
	}
	far, err := ethernet.OpenReceiverFile(ethernet.Port{Interface: "far0"}, log)
	if err != nil {
		t.Fatal(err)
	}
	sent := ""
	got := honest(t, Receive, far, func() { sent = honest(t, Transmit, near, nil, "transmit over ethernet") },
		"receive over ethernet")
	return sent + ", " + got
}
