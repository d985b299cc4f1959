package selftest

import (
	"context"
	"fmt"
	"io"
	"io/fs"
	"path"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Our own choices.
const (
	minute   = time.Minute
	sampling = 5 * time.Second
)

// Minute keeps what the kernel counted of a serial port in the last minute: what the
// board can do at its rate is measured on its own link, while it works. Safe for
// concurrent use, but for Run, which runs once.
type Minute struct {
	Root fs.FS         // of the machine's files
	Link func() string // the device; "" while there is none

	mu      sync.Mutex
	samples []sample // oldest first, of one device, over a minute and a little
	link    string
}

type sample struct {
	at     time.Time
	counts map[string]int
}

// Run samples the port until ctx ends.
func (m *Minute) Run(ctx context.Context) {
	tick := time.NewTicker(sampling)
	defer tick.Stop()
	for {
		m.sample(time.Now())
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

func (m *Minute) sample(now time.Time) {
	link := m.Link()
	counts, err := portCounts(m.Root, link)
	m.mu.Lock()
	defer m.mu.Unlock()
	if err != nil || link != m.link {
		m.link, m.samples = link, nil
	}
	if err != nil {
		return
	}
	m.samples = append(m.samples, sample{now, counts})
	for len(m.samples) > 1 && now.Sub(m.samples[1].at) >= minute {
		m.samples = m.samples[1:]
	}
}

// counted returns what was counted in the last minute, or since it is known; 0 as the
// time means nothing yet.
func (m *Minute) counted() (map[string]int, time.Duration) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(m.samples) == 0 {
		return nil, 0
	}
	first, last := m.samples[0], m.samples[len(m.samples)-1]
	counts := map[string]int{}
	for name, n := range last.counts {
		counts[name] = int(uint32(n) - uint32(first.counts[name])) // the kernel's counters wrap
	}
	return counts, last.at.Sub(first.at)
}

// minute checks that the machine took what its link's port received at this rate.
func (m Machine) minute() Result {
	const check = "the link's port keeps up with its rate"
	switch {
	case !m.onUART() || m.Minute == nil:
		return Result{check, NotProved, "the link is not a serial port"}
	case m.Role == "tx":
		return Result{check, Pass, "a transmitter's port waits for the machine"}
	}
	counts, over := m.Minute.counted()
	switch {
	case over == 0:
		return Result{check, NotProved, "nothing is counted yet: ask again in a minute"}
	case counts["rx"] == 0:
		return Result{check, NotProved, fmt.Sprintf("nothing was received in %s", over.Round(time.Second))}
	}
	found := fmt.Sprintf("in %s: %d characters, %d overruns of the port, %d of the kernel's buffer, "+
		"%d framing errors, %d breaks", over.Round(time.Second), counts["rx"], counts["oe"], counts["bo"],
		counts["fe"], counts["brk"])
	switch {
	case counts["oe"]+counts["bo"] > 0:
		return Result{check, Fail, found + ": the board is too slow for this rate; lower baud on both boards"}
	case counts["fe"] > 0:
		return Result{check, Fail, found + ": noise, or another rate than the transmitter's"}
	}
	return Result{check, Pass, found}
}

// portCounts returns what the kernel's serial layer counted of a port since the start,
// by its own names (uart_line_info of Linux): tx, rx, and where they are not 0 fe, pe,
// brk, oe and bo.
func portCounts(root fs.FS, device string) (map[string]int, error) {
	driver := strings.TrimRight(path.Base(device), "0123456789")
	line := strings.TrimPrefix(path.Base(device), driver)
	if driver == "ttyS" {
		driver = "serial"
	}
	f, err := root.Open("proc/tty/driver/" + driver)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxFile))
	if err != nil {
		return nil, err
	}
	counts := map[string]int{}
	for _, word := range strings.Fields(field(string(b), line+":")) {
		name, value, _ := strings.Cut(word, ":")
		if n, err := strconv.Atoi(value); err == nil {
			counts[name] = n
		}
	}
	_, sent := counts["tx"]
	if _, received := counts["rx"]; !sent || !received {
		return nil, fmt.Errorf("%s has no counters", device)
	}
	return counts, nil
}
