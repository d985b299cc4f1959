package console

import (
	"bufio"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
)

// MaxFrame is how long framed data may be.
const MaxFrame = 4 << 20

const (
	begin     = "-----BEGIN HELIOGRAPH "
	end       = "-----END HELIOGRAPH "
	dashes    = "-----"
	lineBytes = 57 // 76 characters
)

// Frame writes data for a program.
func Frame(w io.Writer, name string, data []byte) {
	sum := sha256.Sum256(data)
	fmt.Fprintf(w, "%s%s %d %s%s\r\n", begin, name, len(data), hex.EncodeToString(sum[:]), dashes)
	for rest := data; len(rest) > 0; {
		n := min(len(rest), lineBytes)
		fmt.Fprintf(w, "%s\r\n", base64.StdEncoding.EncodeToString(rest[:n]))
		rest = rest[n:]
	}
	fmt.Fprintf(w, "%s%s%s\r\n", end, name, dashes)
}

// Unframe reads until framed data of that name is whole. Log lines in between
// are skipped, because a console is shared. It returns io.ErrUnexpectedEOF when
// r ends before, and an error when what came is not what was sent.
func Unframe(r *bufio.Reader, name string) ([]byte, error) {
	var length int
	var sum string
	for {
		line, err := read(r)
		if err != nil {
			return nil, err
		}
		_, head, found := strings.Cut(line, begin+name+" ")
		if found {
			if _, err := fmt.Sscanf(strings.TrimSuffix(head, dashes), "%d %64s", &length, &sum); err == nil && length >= 0 && length <= MaxFrame {
				break
			}
		}
	}
	var data []byte
	for {
		line, err := read(r)
		if err != nil {
			return nil, err
		}
		if strings.HasPrefix(line, end+name) {
			break
		}
		part, err := base64.StdEncoding.DecodeString(line)
		if err != nil || len(part) > lineBytes {
			continue // a log line
		}
		if data = append(data, part...); len(data) > length {
			return nil, errors.New("console: more data than was announced: try again")
		}
	}
	if got := sha256.Sum256(data); len(data) != length || hex.EncodeToString(got[:]) != sum {
		return nil, fmt.Errorf("console: %d of %d bytes arrived, or they were damaged: try again", len(data), length)
	}
	return data, nil
}

// read returns a line; one that is too long comes in parts.
func read(r *bufio.Reader) (string, error) {
	line, err := r.ReadSlice('\n')
	if err == io.EOF {
		return "", io.ErrUnexpectedEOF
	}
	if err != nil && err != bufio.ErrBufferFull {
		return "", err
	}
	return strings.TrimRight(string(line), "\r\n"), nil
}

func statusJSON(s Status) []byte {
	b, err := json.Marshal(s)
	if err != nil {
		return []byte("{}") // a NaN, which no part reports
	}
	return b
}

// bundleLog is how many log lines a bundle has.
const bundleLog = 1000

// bundle is a text file for whoever is asked for help. It has no key and no
// password, but names of hosts and channels.
func (c *Console) bundle() []byte {
	var b strings.Builder
	section := func(name string) { fmt.Fprintf(&b, "\n== %s\n", name) }
	s := c.board.Status()
	b.WriteString("Heliograph diagnostics\n")
	section("status")
	b.WriteString(Screen(s))
	section("network")
	fmt.Fprintf(&b, "%+v\n", c.board.Network())
	section("rejected certificates")
	for _, e := range c.board.Rejected() {
		fmt.Fprintf(&b, "%s  %s  %s\n", e.Thumbprint, clip(e.Subject, 200), e.Why)
	}
	section("self-test")
	c.board.Selftest(&b)
	section("status in full")
	b.Write(statusJSON(s))
	b.WriteString("\n")
	section("log")
	for _, line := range c.board.Log(bundleLog) {
		b.WriteString(line + "\n")
	}
	return []byte(b.String())
}
