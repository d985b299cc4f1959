package main

import (
	"bytes"
	"errors"
	"strings"
	"testing"
	"time"
)

// cable hands what is sent to a receiver, in pieces, and takes every other word only.
type cable struct {
	to   *count
	busy bool
	drop bool // it does not carry
}

func (c *cable) Close() error { return nil }

func (c *cable) Transmit(frames [][]byte) (int, error) {
	if c.busy = !c.busy; c.busy {
		return 0, errors.New("busy")
	}
	for _, f := range frames {
		if c.drop {
			continue
		}
		c.to.add(f[:7])
		c.to.add(f[7:])
	}
	return len(frames), nil
}

func TestWhatIsSentIsProved(t *testing.T) {
	var c count
	if err := send(&cable{to: &c}, time.Nanosecond); err != nil {
		t.Fatal(err)
	}
	if err := c.verdict(); err != nil {
		t.Error(err)
	}
}

func TestALinkThatTakesNothingIsSaid(t *testing.T) {
	if err := send(stuck{}, time.Nanosecond); err == nil ||
		!strings.Contains(err.Error(), "takes nothing: no carrier") {
		t.Errorf("got %v, want it to say why", err)
	}
}

type stuck struct{}

func (stuck) Transmit([][]byte) (int, error) { return 0, errors.New("no carrier") }
func (stuck) Close() error                   { return nil }

func TestVerdictsSayWhatIsWrong(t *testing.T) {
	var all []byte
	for n := range uint32(lines) {
		all = append(all, line(n)...)
	}
	one := len(line(0))
	for name, c := range map[string]struct {
		came []byte
		want string
	}{
		"nothing": {nil, "0 of 1000 lines arrived, 1000 are missing, 0 are damaged"},
		"one is lost": {append(bytes.Clone(all[:one]), all[2*one:]...),
			"999 of 1000 lines arrived, 1 are missing, 0 are damaged"},
		"one is bent": {bytes.Replace(all, line(7), bytes.Replace(line(7), []byte("7"), []byte("8"), 1), 1),
			"999 of 1000 lines arrived, 1 are missing, 1 are damaged"},
		"one is twice": {append(bytes.Clone(all), line(999)...),
			"1000 of 1000 lines arrived, 0 are missing, 1 are damaged"},
		"the end":       {all[:len(all)-one], "999 of 1000 lines arrived, 1 are missing, 0 are damaged"},
		"noise for all": {bytes.Repeat([]byte{0xff}, 5000), "0 of 1000 lines arrived, 1000 are missing, 1 are damaged"},
	} {
		t.Run(name, func(t *testing.T) {
			var got count
			got.add(c.came)
			if err := got.verdict(); err == nil || !strings.HasPrefix(err.Error(), c.want) {
				t.Errorf("got %v, want %s …", err, c.want)
			}
		})
	}
}
