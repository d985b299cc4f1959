package drivertest

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestARecordingPlaysBackAsItWas(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var tape bytes.Buffer
		r := NewRecorder(&tape, time.Now)
		pipe := NewPipe(2)
		transmit, receive := r.Transmitter(pipe.Transmit), r.Receiver(pipe.Receive)
		time.Sleep(3 * time.Millisecond)
		if n, err := transmit([][]byte{{1}, {2, 3}, {4}}); n != 2 || err != nil {
			t.Errorf("transmit = %d, %v; want 2, nil: the pipe is full", n, err)
		}
		time.Sleep(40 * time.Millisecond)
		if err := receive(time.Second, func(b []byte) {}); err != nil {
			t.Fatal(err)
		}
		const want = "3000000 01\n3000000 0203\n43000000 01\n"
		if tape.String() != want || r.Err() != nil {
			t.Errorf("recorded %q, %v; want %q", tape.String(), r.Err(), want)
		}
		p, start, played := NewPlayback(&tape), time.Now(), ""
		var err error
		for err == nil {
			err = p.Receive(10*time.Millisecond, func(b []byte) {
				played += fmt.Sprintf("%d %x\n", time.Since(start).Nanoseconds(), b)
			})
		}
		if played != want || !errors.Is(err, io.EOF) {
			t.Errorf("played %q, %v; want %q, EOF", played, err, want)
		}
	})
}

func TestABrokenRecordingNamesItsLine(t *testing.T) {
	for _, tape := range []string{"0 00\nx 00\n", "0 00\n1 0\n", "5 00\n4 00\n", "0 00\n\n"} {
		p := NewPlayback(strings.NewReader(tape))
		_ = p.Receive(time.Second, func([]byte) {})
		if err := p.Receive(time.Second, func([]byte) {}); err == nil || !strings.Contains(err.Error(), "line 2") {
			t.Errorf("%q: got %v, want an error that names line 2", tape, err)
		}
	}
}

type full struct{}

func (full) Write([]byte) (int, error) { return 0, errors.New("full") }

func TestARecorderReportsThatItCannotWrite(t *testing.T) {
	r := NewRecorder(full{}, time.Now)
	_, _ = r.Transmitter(NewPipe(1).Transmit)([][]byte{{1}})
	if r.Err() == nil {
		t.Error("got nil, want the writer's error")
	}
}
