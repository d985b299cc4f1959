package relay

import (
	"io"
	"os"
	"sync"
	"time"
)

// Buffer returns a writer with room for about size bytes before to. A pseudo
// terminal holds 4 kB, which a busy machine can let overflow; a board's serial
// driver has more room, and with this so does a test. A Write for which there is no
// room for five seconds ends with os.ErrDeadlineExceeded: a receiver that is off does not
// hold up the sender. Close, or an error of to, ends it.
func Buffer(to io.Writer, size int) io.WriteCloser {
	b := &buffer{chunks: make(chan []byte, size/chunkSize), quit: make(chan struct{})}
	go b.run(to)
	return b
}

const (
	chunkSize = 64
	roomWait  = 5 * time.Second // Stream tries twice, so what has no room for twice that is lost
)

type buffer struct {
	chunks chan []byte
	quit   chan struct{}
	once   sync.Once
}

func (b *buffer) run(to io.Writer) {
	defer b.Close()
	for {
		select {
		case c := <-b.chunks:
			if _, err := to.Write(c); err != nil {
				return
			}
		case <-b.quit:
			return
		}
	}
}

func (b *buffer) Write(p []byte) (int, error) {
	for at := 0; at < len(p); at += chunkSize {
		if err := b.add(append([]byte(nil), p[at:min(at+chunkSize, len(p))]...)); err != nil {
			return at, err
		}
	}
	return len(p), nil
}

func (b *buffer) add(chunk []byte) error {
	select {
	case b.chunks <- chunk:
		return nil
	default:
	}
	late := time.NewTimer(roomWait)
	defer late.Stop()
	select {
	case b.chunks <- chunk:
		return nil
	case <-late.C:
		return os.ErrDeadlineExceeded
	case <-b.quit:
		return io.ErrClosedPipe
	}
}

func (b *buffer) Close() error {
	b.once.Do(func() { close(b.quit) })
	return nil
}
