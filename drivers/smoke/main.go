// Command smoke carries numbered lines over the link of two real boards, which no test on
// one machine can: one sends, the other receives, started first.
//
//	smoke send|receive uart DEVICE BAUD
//	smoke send|receive ethernet INTERFACE
//
//	smoke 0000002a 5d0f3a91\n    number and CRC-32 of what stands before it, a line to a frame
//
// It refuses to call a link proved by the sender: the receiver reports what arrived.
package main

import (
	"bytes"
	"fmt"
	"hash/crc32"
	"log/slog"
	"os"
	"strconv"
	"time"

	"heliograph/drivers/ethernet"
	"heliograph/drivers/uart"
)

const (
	lines   = 1000
	pause   = 10 * time.Millisecond // between two lines
	silence = 5 * time.Second       // after which the receiver counts, once a line came
	first   = time.Minute           // to wait for the first line
)

type transmitter interface {
	Transmit(frames [][]byte) (sent int, err error)
	Close() error
}

type receiver interface {
	Receive(timeout time.Duration, deliver func([]byte)) error
	Close() error
}

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "not proved:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	if len(args) < 3 || args[0] != "send" && args[0] != "receive" || args[1] == "uart" && len(args) != 4 {
		return fmt.Errorf("usage: smoke send|receive, and uart DEVICE BAUD or ethernet INTERFACE")
	}
	if args[0] == "send" {
		t, err := openTransmitter(args[1:])
		if err != nil {
			return err
		}
		defer t.Close()
		return send(t, pause)
	}
	r, err := openReceiver(args[1:])
	if err != nil {
		return err
	}
	defer r.Close()
	return receive(r)
}

func openTransmitter(args []string) (transmitter, error) {
	if args[0] == "ethernet" {
		return ethernet.OpenTransmitter(ethernet.Port{Interface: args[1]}, slog.Default())
	}
	baud, err := strconv.Atoi(args[2])
	if err != nil {
		return nil, err
	}
	t, warnings, err := uart.OpenTransmitter(args[1], baud)
	warn(warnings)
	return t, err
}

func openReceiver(args []string) (receiver, error) {
	if args[0] == "ethernet" {
		return ethernet.OpenReceiver(ethernet.Port{Interface: args[1]}, slog.Default())
	}
	baud, err := strconv.Atoi(args[2])
	if err != nil {
		return nil, err
	}
	r, warnings, err := uart.OpenReceiver(args[1], baud)
	warn(warnings)
	return r, err
}

func warn(warnings []string) {
	for _, w := range warnings {
		fmt.Println("warning:", w)
	}
}

func line(n uint32) []byte {
	text := fmt.Appendf(nil, "smoke %08x ", n)
	return fmt.Appendf(text, "%08x\n", crc32.ChecksumIEEE(text))
}

func send(t transmitter, pause time.Duration) error {
	refused := 0
	for n := range uint32(lines) {
		for {
			sent, err := t.Transmit([][]byte{line(n)})
			if sent == 1 {
				break
			}
			if refused++; refused > lines {
				return fmt.Errorf("sending line %d: the link takes nothing: %v", n, err)
			}
			time.Sleep(pause)
		}
		time.Sleep(pause)
	}
	fmt.Printf("sent %d lines, waited %d times; the receiver reports what arrived\n", lines, refused)
	return nil
}

func receive(r receiver) error {
	var c count
	for end := time.Now().Add(first); time.Now().Before(end); {
		before := c.bytes
		if err := r.Receive(time.Second, c.add); err != nil {
			return err
		}
		if c.bytes > before {
			end = time.Now().Add(silence)
		}
	}
	return c.verdict()
}

// count is what came.
type count struct {
	bytes, good, damaged int
	next                 uint32
	missing              int
	part                 []byte
}

// add adds bytes as they arrive, of lines that may be cut anywhere.
func (c *count) add(b []byte) {
	c.bytes += len(b)
	c.part = append(c.part, b...)
	for {
		i := bytes.IndexByte(c.part, '\n')
		if i < 0 {
			break
		}
		c.line(c.part[:i+1])
		c.part = c.part[i+1:]
	}
	if len(c.part) > 4096 { // no line is
		c.damaged++
		c.part = nil
	}
}

func (c *count) line(text []byte) {
	var n uint32
	if _, err := fmt.Sscanf(string(text), "smoke %x", &n); err != nil || !bytes.Equal(text, line(n)) || n < c.next {
		c.damaged++
		return
	}
	c.good++
	c.missing += int(n - c.next)
	c.next = n + 1
}

func (c *count) verdict() error {
	c.missing += lines - int(min(lines, c.next))
	if c.good != lines || c.damaged > 0 {
		return fmt.Errorf("%d of %d lines arrived, %d are missing, %d are damaged or out of order", c.good, lines,
			c.missing, c.damaged)
	}
	fmt.Printf("proved: %d lines arrived, complete and in order\n", lines)
	return nil
}
