package await_test

import (
	"errors"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"heliograph/ci/await"
)

// recorder is a test that notes how it was ended.
type recorder struct {
	testing.TB
	message string
}

func (*recorder) Helper() {}

func (r *recorder) Fatalf(format string, args ...any) {
	for _, a := range args {
		if err, is := a.(error); is {
			r.message = err.Error()
		}
	}
	panic(r)
}

func TestWaitsUntilItIsSo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		await.True(t, "a second passes", func() bool { return time.Since(start) >= time.Second })
		if took := time.Since(start); took >= 2*time.Second {
			t.Errorf("waited %v, want about one second", took)
		}
	})
}

func TestEndsWithTheLastError(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, start := &recorder{TB: t}, time.Now()
		func() {
			defer func() { _ = recover() }()
			await.NoError(r, "it works", func() error { return errors.New("still broken") })
		}()
		if !strings.Contains(r.message, "still broken") || time.Since(start) < await.Bound {
			t.Errorf("ended with %q after %v, want the last error after %v", r.message, time.Since(start), await.Bound)
		}
	})
}

func TestAFreeAddressCanBeListenedOn(t *testing.T) {
	l, err := net.Listen("tcp", await.FreeAddress(t))
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
}
