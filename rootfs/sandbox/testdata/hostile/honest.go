package main

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"
	"heliograph/drivers/ethernet"
	"heliograph/drivers/uart"
	"heliograph/drivers/udp"
)

// honest is what a correct role does.
func honest() map[string]attempt {
	return map[string]attempt{
		"work": func() ([]byte, error) {
			if err := unix.Close(int(link)); err != nil { // as at the end of a run; files are used after it
				return nil, err
			}
			if b, err := os.ReadFile(argument(1)); err != nil || string(b) != "configuration" {
				return b, err
			}
			return nil, work(argument(0))
		},
		"status": func() ([]byte, error) {
			fmt.Println("running")
			return read(unix.SYS_READ, 0) // until the test has looked
		},
		"transmit over udp": func() ([]byte, error) {
			x, err := udp.TransmitterFrom(int(link), argument(2))
			return transmit(x, err)
		},
		"transmit over uart": func() ([]byte, error) {
			x,
				err := uart.TransmitterFrom(int(link))
			return transmit(x, err)
		},
		"transmit over ethernet": func() ([]byte, error) {
			x, err := ethernet.TransmitterFrom(int(link), "link", slog.Default())
			return transmit(x, err)
		},
		"receive over udp": func() ([]byte, error) {
			r, err := udp.ReceiverFrom(int(link), argument(2))
			if err == nil {
				_ = r.Dropped()
			}
			return receive(r, err)
		},
		"receive over uart": func() ([]byte, error) { r, err := uart.ReceiverFrom(int(link)); return receive(r, err) },
		"receive over ethernet": func() ([]byte, error) {
			r, err := ethernet.ReceiverFrom(int(link), "link", slog.Default())
			if err == nil {
				_ = r.Dropped()
			}
			return receive(r, err)
		},
	}
}

// work does what roles do with the state folder, the network and the runtime.
func work(state string) error {
	path := filepath.Join(state, "epoch")
	if err := os.WriteFile(path+".new", []byte("1"), 0o600); err != nil {
		return err
	}
	if err := os.Rename(path+".new", path); err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Join(state, "spool", "a"), 0o700); err != nil {
		return err
	}
	if _, err := os.ReadDir(state); err != nil {
		return err
	}
	if _, err := unix.Adjtimex(&unix.Timex{}); err != nil {
		return err
	}
	if _, err := net.InterfaceAddrs(); err != nil {
		return err
	}
	l, err := net.Listen("tcp", "127.0.0.1:"+argument(3))
	if err != nil {
		return err
	}
	go func() {
		if c, err := l.Accept(); err == nil {
			_, _ = c.Write([]byte("hello"))
			_ = c.Close()
		}
	}()
	c, err := net.DialTimeout("tcp", l.Addr().String(), time.Second)
	if err != nil {
		return err
	}
	if _, err := c.Read(make([]byte, 5)); err != nil {
		return err
	}
	var wg sync.WaitGroup
	for range 50 {
		wg.Add(1)
		go func() {
			defer wg.Done()
			runtime.LockOSThread() // a thread each
			_ = strings.Repeat("x", 1<<20)
		}()
	}
	wg.Wait()
	runtime.GC()
	return nil
}

// transmit sends what fills any queue, until all of it has left.
func transmit(x interface {
	Transmit([][]byte) (int, error)
}, err error) ([]byte, error) {
	if err != nil {
		return nil, err
	}
	var frames [][]byte
	for range 100 {
		frames = append(frames, bytes.Repeat([]byte{'x'}, 255))
	}
	for end := time.Now().Add(10 * time.Second); len(frames) > 0; {
		n, err := x.Transmit(frames)
		if err != nil {
			return nil, err
		}
		if frames = frames[n:]; time.Now().After(end) {
			return nil, errors.New("the queue stays full")
		}
	}
	return nil, nil
}

// receive waits for the first chunk.
func receive(r interface {
	Receive(time.Duration, func([]byte)) error
}, err error) (got []byte, _ error) {
	if err != nil {
		return nil, err
	}
	fmt.Println("running")
	for end := time.Now().Add(10 * time.Second); len(got) == 0 && time.Now().Before(end); {
		if err := r.Receive(100*time.Millisecond, func(b []byte) { got = bytes.Clone(b) }); err != nil {
			return nil, err
		}
	}
	return got, nil
}
