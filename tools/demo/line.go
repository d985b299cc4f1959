package demo

import (
	"context"
	"fmt"
	"os"
	"sync"

	"github.com/creack/pty"

	"heliograph/ci/freeport"
	"heliograph/firmware/conduit/linktest"
	"heliograph/firmware/conduit/linktest/relay"
)

// line is the impaired link: UDP through a relay, or two pseudo terminals.
type line struct {
	link         *linktest.Link
	enter, leave string // what the roles are configured with
	done         sync.WaitGroup
	files        []*os.File
}

// longWord is a UART's longest word with its marker, in bytes.
const longWord = 259

func openLine(ctx context.Context, o Options) (*line, error) {
	if o.Medium == "uart" {
		return openSerial(ctx, o)
	}
	l := &line{link: linktest.New(1, linktest.Profile{Loss: o.Loss, Corrupt: o.Corrupt})}
	ports, err := freeport.Several(2)
	if err != nil {
		return nil, fmt.Errorf("demo: %v", err)
	}
	l.enter, l.leave = fmt.Sprintf("127.0.0.1:%d", ports[0]), fmt.Sprintf("127.0.0.1:%d", ports[1])
	r, err := relay.NewUDP(l.enter, l.leave, l.link)
	if err != nil {
		return nil, err
	}
	l.done.Go(func() { _ = r.Run(ctx) }) // its counters show what it did
	return l, nil
}

// openSerial joins two pseudo terminals. A lost frame is a lost byte there, and
// a corrupted one a flipped bit, as often as a frame is long.
func openSerial(ctx context.Context, o Options) (*line, error) {
	l := &line{link: linktest.New(1, linktest.Profile{DropBytes: o.Loss / longWord,
		BitErrors: o.Corrupt / longWord / 8})}
	var ends [2]*os.File
	for i, path := range []*string{&l.enter, &l.leave} {
		master, slave, err := pty.Open()
		if err != nil {
			l.close()
			return nil, fmt.Errorf("demo: opening a pseudo terminal: %v", err)
		}
		l.files = append(l.files, master, slave) // both stay open, so that a role may come and go
		ends[i], *path = master, slave.Name()
	}
	room := relay.Buffer(ends[1], 1<<20)
	l.done.Go(func() { _ = relay.Stream(ctx, ends[0], room, l.link, 0) })
	return l, nil
}

// close waits for the line's end; its context must have ended.
func (l *line) close() {
	for _, f := range l.files {
		_ = f.Close()
	}
}
