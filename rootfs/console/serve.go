package console

import (
	"context"
	"io"
	"time"
)

const maxKeys = 64 // that one read of the port returns

// Serve lets keys from a port act until it ends or ctx does, which closes it.
func (c *Console) Serve(ctx context.Context, port io.ReadCloser) {
	defer context.AfterFunc(ctx, func() { _ = port.Close() })()
	keys, ended := make(chan byte), make(chan struct{})
	defer close(ended)
	go readKeys(port, keys, ended)
	defer c.end()
	minute := time.NewTicker(time.Minute)
	defer minute.Stop()
	due := time.NewTimer(0)
	defer due.Stop()
	for {
		due.Stop()
		if at := c.Due(); !at.IsZero() {
			due.Reset(max(0, at.Sub(c.now())))
		}
		select {
		case k, ok := <-keys:
			if !ok {
				return
			}
			c.Key(k)
		case line, more := <-c.Lines():
			c.Said(line, more)
		case <-due.C:
			c.Expire()
		case <-minute.C:
			c.Minute()
		}
	}
}

// readKeys closes keys when the port ends.
func readKeys(port io.Reader, keys chan<- byte, ended <-chan struct{}) {
	defer close(keys)
	b := make([]byte, maxKeys)
	for {
		n, err := port.Read(b)
		for _, k := range b[:n] {
			select {
			case keys <- k:
			case <-ended:
				return
			}
		}
		if err != nil {
			return
		}
	}
}
