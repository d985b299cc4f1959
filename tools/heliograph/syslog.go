package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"sync"
	"unicode"

	"github.com/spf13/cobra"

	"heliograph/firmware/platform/cause"
)

// Our own bounds.
const (
	collectorStreams = 32      // TCP connections at a time; more wait
	collectorMessage = 1 << 20 // bytes of one message and its count
	collectorDigits  = 7       // of a count
)

var errMessage = errors.New("not syslog over TCP, or a message of more than 1 MiB")

func syslogCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "syslog ADDRESS",
		Short: "Print what arrives at ADDRESS (such as 127.0.0.1:5601), in place of a syslog collector",
		Long: "Takes syslog over UDP and TCP (octet counting, or a line each) and prints each message on a line\n" +
			"of its own, until Ctrl-C. Characters that would control a terminal become \"?\".",
		Example: "  heliograph syslog 127.0.0.1:5601",
		Args:    oneAddress("127.0.0.1:5601"),
		RunE: failing(func(c *cobra.Command, args []string) error {
			o := &collectorOutput{out: c.OutOrStdout(), notes: c.ErrOrStderr()}
			return o.listen(c.Context(), args[0])
		}),
	}
}

// oneAddress takes one argument, host:port; the host may be empty.
func oneAddress(example string) cobra.PositionalArgs {
	return func(c *cobra.Command, args []string) error {
		if err := cobra.ExactArgs(1)(c, args); err != nil || args[0] == "" { // whole refuses an empty one
			return err
		}
		_, port, err := net.SplitHostPort(args[0])
		if _, wrong := strconv.ParseUint(port, 10, 16); err != nil || wrong != nil {
			return fmt.Errorf("%q: write an address and a port, such as %s", args[0], example)
		}
		return nil
	}
}

// notListening says what to do about an address that cannot be listened at.
func notListening(address string, err error) error {
	switch cause.Of(err).Code {
	case cause.PortInUse:
		return fmt.Errorf("%s: another program has that port: write another one", address)
	case cause.PortPermission:
		return fmt.Errorf("%s: a port below 1024 takes root: write another one", address)
	case cause.Address:
		return fmt.Errorf("%s is not an address of this machine: write one that is, such as 127.0.0.1", address)
	}
	return err
}

// collectorOutput prints messages, one at a time.
type collectorOutput struct {
	mu         sync.Mutex
	out, notes io.Writer
}

// listen prints what arrives until ctx ends.
func (o *collectorOutput) listen(ctx context.Context, address string) error {
	streams, err := net.Listen("tcp", address)
	if err != nil {
		return fmt.Errorf("syslog: %w", notListening(address, err))
	}
	address = streams.Addr().String() // with port 0: the one that was taken
	datagrams, err := net.ListenPacket("udp", address)
	if err != nil {
		_ = streams.Close()
		return fmt.Errorf("syslog: %w", notListening(address, err))
	}
	fmt.Fprintf(o.notes, "syslog: waiting for messages at %s, UDP and TCP\n", address)
	var all sync.WaitGroup
	all.Go(func() { o.datagrams(datagrams) })
	all.Go(func() { o.streams(ctx, streams) })
	<-ctx.Done()
	_, _ = streams.Close(), datagrams.Close()
	all.Wait()
	return nil
}

func (o *collectorOutput) datagrams(conn net.PacketConn) {
	b := make([]byte, 64<<10)
	for {
		n, _, err := conn.ReadFrom(b)
		if err != nil {
			return
		}
		o.print(b[:n])
	}
}

func (o *collectorOutput) streams(ctx context.Context, l net.Listener) {
	var all sync.WaitGroup
	defer all.Wait()
	room := make(chan struct{}, collectorStreams)
	for {
		conn, err := l.Accept()
		if err != nil {
			return
		}
		select {
		case room <- struct{}{}:
		case <-ctx.Done():
			_ = conn.Close()
			return
		}
		all.Go(func() {
			defer func() { <-room }()
			defer context.AfterFunc(ctx, func() { _ = conn.Close() })()
			defer conn.Close()
			o.stream(conn)
		})
	}
}

func (o *collectorOutput) stream(conn net.Conn) {
	s := bufio.NewScanner(conn)
	s.Buffer(nil, collectorMessage)
	s.Split(splitSyslog)
	for s.Scan() {
		o.print(s.Bytes())
	}
	if err := s.Err(); errors.Is(err, errMessage) || errors.Is(err, bufio.ErrTooLong) {
		fmt.Fprintf(o.notes, "syslog: %s: %v; connection closed\n", conn.RemoteAddr(), errMessage)
	}
}

// print prints a message on one line.
func (o *collectorOutput) print(message []byte) {
	line := strings.Map(func(c rune) rune {
		if c == '\t' || unicode.IsPrint(c) {
			return c
		}
		return '?'
	}, strings.TrimRight(string(message), "\r\n\x00"))
	o.mu.Lock()
	defer o.mu.Unlock()
	fmt.Fprintln(o.out, line)
}

// splitSyslog is a bufio.SplitFunc for both framings of RFC 6587: a count and a space
// before the message, or a line each.
func splitSyslog(data []byte, atEOF bool) (advance int, token []byte, err error) {
	start := len(data) - len(bytes.TrimLeft(data, "\n\x00"))
	rest := data[start:]
	if len(rest) == 0 {
		return start, nil, nil
	}
	digits := len(rest) - len(bytes.TrimLeft(rest, "0123456789"))
	if digits == 0 || rest[0] == '0' || digits < len(rest) && rest[digits] != ' ' {
		if end := bytes.IndexByte(rest, '\n'); end >= 0 {
			return start + end + 1, rest[:end], nil
		}
		if atEOF {
			return len(data), rest, nil
		}
		return start, nil, nil
	}
	if digits > collectorDigits {
		return 0, nil, errMessage
	}
	n := 0
	for _, d := range rest[:digits] {
		n = n*10 + int(d-'0')
	}
	if n > collectorMessage-collectorDigits-1 {
		return 0, nil, errMessage
	}
	if body := rest[min(digits+1, len(rest)):]; len(body) >= n && digits < len(rest) {
		return start + digits + 1 + n, body[:n], nil
	}
	if atEOF {
		return 0, nil, io.ErrUnexpectedEOF
	}
	return start, nil, nil
}
