package console

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	tea "charm.land/bubbletea/v2"

	"heliograph/firmware/platform/text"
)

// How many keys wait for a slow port, and how long the last one may take.
const (
	keysWait = 64
	farewell = time.Second
)

// Watch shows the board until the user leaves, ctx ends, or the port is closed.
// The caller closes the port afterwards.
func Watch(ctx context.Context, port Port, device string, options ...tea.ProgramOption) error {
	keys := make(chan []byte, keysWait)
	written := make(chan struct{})
	l := &Screen{device: device, save: save, width: 80, height: 24, send: func(b []byte) {
		select {
		case keys <- b:
		default: // the port takes nothing: the screen says that there is no answer
		}
	}}
	l.send([]byte{escape})
	p := tea.NewProgram(l, append([]tea.ProgramOption{tea.WithContext(ctx)}, options...)...)
	go read(port, p)
	go func() {
		defer close(written)
		for b := range keys {
			if _, err := port.Write(b); err != nil {
				p.Send(gone{err})
			}
		}
	}()
	_, err := p.Run()
	l.send([]byte{escape}) // no question stays open behind us
	close(keys)
	select {
	case <-written:
	case <-time.After(farewell):
	}
	switch {
	case l.gone != nil:
		return fmt.Errorf("console: %s is gone: %v", device, l.gone)
	case ctx.Err() != nil || errors.Is(err, tea.ErrInterrupted):
		return nil
	}
	return err
}

// read hands on what arrives until the port is closed or gone.
func read(port Port, p *tea.Program) {
	b := make([]byte, 4<<10)
	for {
		n, err := port.Read(b)
		if n > 0 {
			p.Send(arrived(append([]byte(nil), b[:n]...)))
		}
		if err != nil {
			p.Send(gone{err})
			return
		}
	}
}

// save writes a bundle to a new file in the working directory.
func save(host string, bundle []byte) (string, error) {
	name := strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '-' {
			return r
		}
		return '_'
	}, text.Clip(host, 64))
	file := fmt.Sprintf("heliograph-%s-%s.txt", name, time.Now().UTC().Format("20060102-150405"))
	return file, Save(file, bundle)
}

// Save writes a bundle to a new file that only its owner can read: it names hosts and
// channels.
func Save(file string, bundle []byte) error {
	f, err := os.OpenFile(file, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(bundle)
	return errors.Join(err, f.Close())
}
