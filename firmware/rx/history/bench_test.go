package history

import (
	"encoding/binary"
	"fmt"
	"log/slog"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// plant makes the changes of 1,000 nodes with Doubles that move slowly: half have two
// decimals, a quarter single precision; one in ten has a StatusCode. One change in 100 is up to two hours late.
type plant struct {
	r      *rand.Rand
	nodes  [][]byte
	values []float64
	next   []time.Time
	step   time.Duration
	late   int // per 100
}

func newPlant(step time.Duration) *plant {
	p := &plant{r: rand.New(rand.NewPCG(1, 2)), step: step, late: 1}
	for i := range 1000 {
		p.nodes = append(p.nodes, fmt.Appendf(nil, "ns=2;s=Line%d.Cell%d.Temperature", i/100, i%100))
		p.values = append(p.values, 20+80*p.r.Float64())
		p.next = append(p.next, day0.Add(time.Duration(p.r.Int64N(int64(step)))))
	}
	return p
}

// change returns the next change of node i.
func (p *plant) change(i int) (node []byte, at time.Time, value []byte) {
	p.values[i] += p.r.NormFloat64() / 20
	v := p.values[i]
	switch i % 4 {
	case 0, 1:
		v = math.Round(v*100) / 100
	case 2:
		v = float64(float32(v))
	}
	value = []byte{1, 11}
	if i%10 == 0 {
		value[0] = 3
	}
	value = binary.LittleEndian.AppendUint64(value, math.Float64bits(v))
	if i%10 == 0 {
		value = append(value, 0, 0, 0, 0)
	}
	at = p.next[i].Add(time.Duration(p.r.NormFloat64() * 2e6))
	p.next[i] = p.next[i].Add(p.step)
	if i%2 == 0 {
		at = at.Truncate(time.Millisecond)
	}
	if p.r.IntN(100) < p.late {
		at = at.Add(-time.Duration(p.r.Int64N(int64(2 * time.Hour))))
	}
	return p.nodes[i], at, value
}

func benchStore(b *testing.B, now func() time.Time) *Store {
	b.Helper()
	s, err := open(filepath.Join(b.TempDir(), "history"), Limits{Age: 365 * 24 * time.Hour, Bytes: 4 << 30},
		slog.New(slog.DiscardHandler), now)
	if err != nil {
		b.Fatal(err)
	}
	return s
}

// written returns what all of this machine have written to the device that dir is on.
func written(b *testing.B, dir string) (bytes uint64) {
	b.Helper()
	var st unix.Stat_t
	if err := unix.Stat(dir, &st); err != nil {
		b.Fatal(err)
	}
	text, err := os.ReadFile(fmt.Sprintf("/sys/dev/block/%d:%d/stat", unix.Major(st.Dev), unix.Minor(st.Dev)))
	if err != nil {
		return 0 // a file system without a device
	}
	sectors, err := strconv.ParseUint(strings.Fields(string(text))[6], 10, 64)
	if err != nil {
		b.Fatal(err)
	}
	return sectors * 512
}

// BenchmarkHours is hours of 100 changes/s; a step of the store is a second.
func BenchmarkHours(b *testing.B) {
	const hours, perSecond = 6, 100
	for b.Loop() {
		now := day0
		s := benchStore(b, func() time.Time { return now })
		p, i, before := newPlant(10*time.Second), 0, written(b, s.dir)
		for range hours * 3600 {
			for range perSecond {
				s.AddValue(p.change(i % 1000))
				i++
			}
			now = now.Add(time.Second)
			s.step(now)
		}
		after := written(b, s.dir)
		s.Close()
		st, sealed := s.Stats(), uint64(0)
		for _, seg := range s.segments {
			sealed += seg.changes
		}
		b.ReportMetric(float64(st.Added)/b.Elapsed().Seconds(), "changes/s")
		b.ReportMetric(float64(st.Bytes)/float64(sealed), "B/change")
		b.ReportMetric(float64(after-before)/float64(st.Added), "written-B/change")
		b.ReportMetric(float64(st.Written)/float64(st.Added), "counted-B/change")
		b.ReportMetric(float64(st.Segments), "segments")
		if st.Dropped > 0 {
			b.Errorf("%d dropped", st.Dropped)
		}
	}
}

// BenchmarkAdd is a change that comes: a step of the store each 20,000.
func BenchmarkAdd(b *testing.B) {
	now := day0
	s := benchStore(b, func() time.Time { return now })
	defer s.Close()
	p := newPlant(time.Second)
	type added struct {
		node, value []byte
		at          time.Time
	}
	changes := make([]added, 200_000)
	for i := range changes {
		c := &changes[i]
		c.node, c.at, c.value = p.change(i % 1000)
	}
	i := 0
	b.ReportAllocs()
	for b.Loop() {
		c := &changes[i%len(changes)]
		s.AddValue(c.node, c.at.Add(time.Duration(i/len(changes))*200*time.Second), c.value)
		if i++; i%20_000 == 0 {
			now = now.Add(time.Second)
			s.step(now)
		}
	}
	b.ReportMetric(float64(i)/b.Elapsed().Seconds(), "changes/s")
	if st := s.Stats(); st.Dropped > 0 {
		b.Errorf("%d dropped", st.Dropped)
	}
}

// BenchmarkReadHour reads an hour of a node, 1/s, among 1,000 nodes of three hours.
func BenchmarkReadHour(b *testing.B) {
	now := day0
	s := benchStore(b, func() time.Time { return now })
	defer s.Close()
	p := newPlant(time.Second)
	for range 3 * 3600 {
		for i := range 1000 {
			s.AddValue(p.change(i))
		}
		now = now.Add(time.Second)
		s.step(now)
	}
	n, k := 0, 0
	for b.Loop() {
		n = 0
		if err := s.Values(p.nodes[k*7%1000], day0.Add(time.Hour), day0.Add(2*time.Hour), func(time.Time, []byte) bool {
			n++
			return true
		}); err != nil {
			b.Fatal(err)
		}
		k++
	}
	if n < 3500 || n > 3700 {
		b.Errorf("%d values", n)
	}
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	b.ReportMetric(float64(m.HeapAlloc)/1e6, "heap-MB")
	b.ReportMetric(float64(s.Stats().Segments), "segments")
}
