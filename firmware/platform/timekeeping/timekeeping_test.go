package timekeeping

import (
	"context"
	"encoding/binary"
	"errors"
	"log/slog"
	"net"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

func TestRounds(t *testing.T) {
	const ms = time.Millisecond
	silent := errors.New("i/o timeout")
	answers := map[string]struct {
		Answer
		error
	}{
		"a": {Answer{Offset: 10 * ms}, nil}, "b": {Answer{Offset: 12 * ms}, nil},
		"liar":  {Answer{Offset: time.Hour}, nil},
		"vague": {Answer{Offset: ms, RootDistance: 10 * time.Second}, nil}, "silent": {Answer{}, silent},
	}
	for _, tt := range []struct {
		name    string
		servers string
		want    Estimate // Number 0: none
		fault   string
	}{
		{"one", "a", Estimate{10 * ms, "ntp a", 1}, ""},
		{"a liar among three", "liar a b", Estimate{12 * ms, "ntp b", 1}, ""},
		{"of two that differ the wrong one is not known", "liar b", Estimate{12 * ms, "ntp b", 1}, ""},
		{"one that does not know", "vague b", Estimate{12 * ms, "ntp b", 1}, ""},
		{"one that is silent", "silent a", Estimate{10 * ms, "ntp a", 1}, ""},
		{"none", "silent vague", Estimate{}, "silent: i/o timeout; vague: it is 10s away"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			n := &NTP{Servers: strings.Fields(tt.servers), Log: slog.New(slog.DiscardHandler),
				Query: func(_ context.Context, s string) (Answer, error) { return answers[s].Answer, answers[s].error }}
			if err := n.Unknown(); err == nil {
				t.Error("got the time before a round")
			}
			known := n.round(t.Context())
			if got := n.Estimate(); got != tt.want || known != (tt.want.Number > 0) {
				t.Errorf("got %+v, %t; want %+v", got, known, tt.want)
			}
			if err := n.Unknown(); (err == nil) != (tt.fault == "") || err != nil &&
				!strings.Contains(err.Error(), tt.fault) {
				t.Errorf("got %v, want %q", err, tt.fault)
			}
		})
	}
}

func TestMeasurementsComeOftenUntilOneSucceeds_AndGrowOld(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		var mu sync.Mutex
		var asked []time.Duration
		n := &NTP{Servers: []string{"a"}, Log: slog.New(slog.DiscardHandler),
			Query: func(context.Context, string) (Answer, error) {
				mu.Lock()
				defer mu.Unlock()
				asked = append(asked, time.Since(start))
				if len(asked) < 3 || len(asked) > 5 {
					return Answer{}, errors.New("away")
				}
				return Answer{Offset: time.Second}, nil
			}}
		ctx, stop := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- n.Run(ctx) }()
		time.Sleep(searching*2 + again + poll + time.Second) // of the simulated clock
		synctest.Wait()
		mu.Lock()
		if len(asked) != 5 || asked[2] != 2*searching || asked[3] != 2*searching+again ||
			asked[4] != 2*searching+again+poll {
			t.Errorf("asked at %v, want each %v until the third, %v and %v later", asked, searching, again, poll)
		}
		mu.Unlock()
		if got := n.Estimate(); got.Number != 3 {
			t.Errorf("got %+v, want the third measurement", got)
		}
		time.Sleep(goodFor + time.Second)
		if got := n.Estimate(); got != (Estimate{}) || n.Unknown() == nil {
			t.Errorf("got %+v after %v without an answer, want none", got, goodFor)
		}
		stop()
		if err := <-done; err != nil {
			t.Errorf("Run: got %v, want nil", err)
		}
	})
}

// server answers as RFC 5905 §7.3 says, an hour ahead, spoilt on the way.
func server(t *testing.T, spoil func([]byte)) string {
	t.Helper()
	c, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	stamp := func(b []byte, at time.Time) {
		const from1900 = 2208988800
		binary.BigEndian.PutUint32(b, uint32(at.Unix()+from1900))
		binary.BigEndian.PutUint32(b[4:], uint32(uint64(at.Nanosecond())<<32/1e9))
	}
	go func() {
		b := make([]byte, 200)
		for {
			n, from, err := c.ReadFrom(b)
			if err != nil {
				return
			}
			if n < 48 {
				continue
			}
			at := time.Now().Add(time.Hour)
			a := make([]byte, 48)
			a[0], a[1], a[2], a[3] = 0x24, 2, 6, 0xe8 // version 4, server; stratum 2
			stamp(a[16:], at.Add(-time.Second))
			copy(a[24:32], b[40:48])
			stamp(a[32:], at)
			stamp(a[40:], at)
			spoil(a)
			_, _ = c.WriteTo(a, from)
		}
	}()
	return c.LocalAddr().String()
}

func TestServersAnswers(t *testing.T) {
	for _, tt := range []struct {
		name  string
		spoil func([]byte)
		good  bool
	}{
		{"as it should be", func([]byte) {}, true},
		{"not synchronised itself", func(b []byte) { b[0] |= 0xc0 }, false},
		{"kiss of death", func(b []byte) { b[1] = 0; copy(b[12:], "DENY") }, false},
		{"to another question", func(b []byte) { b[24] ^= 1 }, false},
		{"no server", func(b []byte) { b[0] = 0x23 }, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := query(t.Context(), server(t, tt.spoil))
			if (err == nil) != tt.good || tt.good && (got.Offset-time.Hour).Abs() > time.Second {
				t.Errorf("got %+v, %v; want good: %t", got, err, tt.good)
			}
		})
	}
}
