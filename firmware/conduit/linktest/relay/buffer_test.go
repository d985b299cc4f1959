package relay

import (
	"bytes"
	"errors"
	"io"
	"net"
	"os"
	"testing"
	"testing/synctest"
	"time"
)

func TestABufferIsNotHeldUpByAReceiverThatIsOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		to, receiver := net.Pipe()
		defer receiver.Close()
		defer to.Close()
		const room = 4 * chunkSize
		b := Buffer(to, room)
		defer b.Close()
		sent := bytes.Repeat([]byte("x"), 10*room)
		began := time.Now()
		n, err := b.Write(sent)
		if took := time.Since(began); !errors.Is(err, os.ErrDeadlineExceeded) || took != roomWait {
			t.Errorf("got %v after %s, want %v after %s", err, took, os.ErrDeadlineExceeded, roomWait)
		}
		if want := room + chunkSize; n != want { // one chunk is on its way
			t.Errorf("%d bytes were taken, want %d", n, want)
		}

		got := make(chan int)
		go func() { // it is on again
			n, _ := io.ReadFull(receiver, make([]byte, n+len(sent)))
			got <- n
		}()
		if again, err := b.Write(sent); again != len(sent) || err != nil {
			t.Errorf("got %d, %v, want %d bytes", again, err, len(sent))
		}
		if all := <-got; all != n+len(sent) {
			t.Errorf("%d bytes arrived, want %d", all, n+len(sent))
		}
	})
}

func TestABufferThatIsClosedEndsAWrite(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		to, receiver := net.Pipe()
		defer receiver.Close()
		defer to.Close()
		b := Buffer(to, chunkSize)
		time.AfterFunc(time.Second, func() { _ = b.Close() })
		if n, err := b.Write(make([]byte, 10*chunkSize)); !errors.Is(err, io.ErrClosedPipe) {
			t.Errorf("got %d, %v, want %v", n, err, io.ErrClosedPipe)
		}
	})
}
