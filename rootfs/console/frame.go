package console

import (
	"bufio"
	"bytes"
	"compress/gzip"
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

// Frame writes data for a program. It ends early when w fails, which the reader
// detects.
func Frame(w io.Writer, name string, data []byte) {
	var packed bytes.Buffer
	z := gzip.NewWriter(&packed)
	_, _ = z.Write(data) // into memory
	_ = z.Close()
	sum := sha256.Sum256(data)
	_, err := fmt.Fprintf(w, "%s%s %d %s%s\r\n", begin, name, len(data), hex.EncodeToString(sum[:]), dashes)
	for err == nil && packed.Len() > 0 {
		_, err = fmt.Fprintf(w, "%s\r\n", base64.StdEncoding.EncodeToString(packed.Next(lineBytes)))
	}
	if err == nil {
		_, _ = fmt.Fprintf(w, "%s%s%s\r\n", end, name, dashes)
	}
}

// Framed is data that was framed, or why it cannot be had.
type Framed struct {
	Name string
	Data []byte
	Err  error
}

// Deframer takes framed data out of the lines of a console. The console is
// shared: lines in between that are not the frame's own are text. The zero value
// is ready.
type Deframer struct {
	name   string // "" outside a frame
	length int
	sum    string
	packed []byte
}

// Line takes a line without its end. It returns the text in it, whether that
// text is continued in a later line, because a frame began within it, and a frame
// that ended with it.
func (d *Deframer) Line(line string) (text string, continued bool, done *Framed) {
	if before, head, found := strings.Cut(line, begin); found && d.start(head) {
		return before, true, nil
	}
	if !d.Open() {
		return line, false, nil
	}
	if strings.HasPrefix(line, end+d.name+dashes) {
		done = d.unpack()
		*d = Deframer{}
		return "", true, done
	}
	part, err := base64.StdEncoding.DecodeString(line)
	if err != nil || len(part) > lineBytes {
		return line, false, nil
	}
	if d.packed = append(d.packed, part...); len(d.packed) > MaxFrame {
		*d = Deframer{}
	}
	return "", true, nil
}

// Open reports whether a frame has begun and not ended.
func (d *Deframer) Open() bool { return d.name != "" }

// start starts a frame whose first line has that head.
func (d *Deframer) start(head string) bool {
	next := Deframer{}
	if _, err := fmt.Sscanf(strings.TrimSuffix(head, dashes), "%32s %d %64s", &next.name, &next.length,
		&next.sum); err != nil || next.length < 0 || next.length > MaxFrame {
		return false
	}
	*d = next
	return true
}

func (d *Deframer) unpack() *Framed {
	f := &Framed{Name: d.name}
	z, err := gzip.NewReader(bytes.NewReader(d.packed))
	if err == nil {
		f.Data, err = io.ReadAll(io.LimitReader(z, int64(d.length)+1))
	}
	if sum := sha256.Sum256(f.Data); err != nil || len(f.Data) != d.length || hex.EncodeToString(sum[:]) != d.sum {
		f.Data, f.Err = nil, errors.New("console: data damaged in transmission; try again")
	}
	return f
}

// Unframe reads until framed data of that name is complete. It returns
// io.ErrUnexpectedEOF when r ends before, and an error when the data is damaged.
func Unframe(r *bufio.Reader, name string) ([]byte, error) {
	var d Deframer
	for {
		line, err := r.ReadSlice('\n')
		if err == io.EOF {
			return nil, io.ErrUnexpectedEOF
		}
		if err != nil && err != bufio.ErrBufferFull { // a line that is too long comes in parts
			return nil, err
		}
		if _, _, done := d.Line(strings.TrimRight(string(line), "\r\n")); done != nil && done.Name == name {
			return done.Data, done.Err
		}
	}
}

func statusJSON(s Status) []byte {
	b, err := json.Marshal(s)
	if err != nil {
		return []byte("{}") // a NaN, which no part reports
	}
	return b
}

// How many lines of log and of status a bundle has.
const (
	bundleLog     = 1000
	bundleLines   = 200
	bundleColumns = 160
)

// bundle is a text file for support. It has no key and no password, but names of
// hosts and channels.
func (c *Console) bundle() []byte {
	var b strings.Builder
	section := func(name string) { fmt.Fprintf(&b, "\n== %s\n", name) }
	s := c.board.Status()
	b.WriteString("Heliograph diagnostics\n")
	section("status")
	b.WriteString(Screen(s, Size{bundleColumns, bundleLines}))
	section("findings")
	b.WriteString(findings(s) + "\n")
	section("network")
	fmt.Fprintf(&b, "%+v\n", c.board.Network())
	section("rejected certificates")
	for _, e := range c.board.Rejected() {
		fmt.Fprintf(&b, "%s  %s  %s\n", e.Thumbprint, oneLine(e.Subject, 200), e.Why)
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
	return []byte(Printable(b.String()))
}
