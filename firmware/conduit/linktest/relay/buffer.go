package relay

import (
	"io"
	"sync"
)

// Buffer returns a writer with room for about size bytes before to. A pseudo
// terminal holds 4 kB, which a busy machine can let overflow; a board's serial
// driver has more room, and with this so does a test. Close, or an error of
// to, ends it.
func Buffer(to io.Writer, size int) io.WriteCloser {
	b := &buffer{chunks: make(chan []byte, size/chunkSize), quit: make(chan struct{})}
	go b.run(to)
	return b
}

const chunkSize = 64

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
		select {
		case b.chunks <- append([]byte(nil), p[at:min(at+chunkSize, len(p))]...):
		case <-b.quit:
			return at, io.ErrClosedPipe
		}
	}
	return len(p), nil
}

func (b *buffer) Close() error {
	b.once.Do(func() { close(b.quit) })
	return nil
}
