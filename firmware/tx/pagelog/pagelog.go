// Package pagelog keeps pages of what has left on a disk, so that they are sent again
// after a restart of the transmitter too, and reach further back than its memory.
//
//	segment.go   the format of a file
//	write.go     pages are appended, and the oldest file makes room
//	read.go      a pass reads all of them, oldest first
//
// A page is on its way to the disk half a second after its first record left, at the
// latest: a kill of the program loses what left in the last second, at most. Every
// 5 seconds the file is synced, and at the end: a power cut loses what left in
// the last 6 seconds. An end as asked loses nothing.
//
// A disk that fails never stops the transmitter, which keeps its window in memory: a pass
// has what is on the disk and what is in memory, and leaves out what neither has. The
// fault is counted and makes the log not ready; writing is tried again every 5 seconds.
// A pass waits a minute for a disk that cannot be read, and then leaves out the rest of
// that file, until it can be read again.
//
// The package refuses to know what a page says, but for its epoch, and to share its
// folder: the state directory's lock keeps other processes out.
//
// # A segment file
//
// It is named by its number, which rises by one, in 16 hexadecimal digits. Integers are
// big-endian; crc is CRC-32C (RFC 3720 appendix B.4).
//
//	header   "HGR1"(4) crc(4) number(8) epoch(8) since(8)   crc over number … since
//	page*    length(4) crc(4) since(8) body(length)         crc over number, length, since, body
//
// Epoch is that of the first page, since when the first record of a page left, in ns
// since 1970. A body is that of a replay page of package record. A segment is read up
// to the first page that is not whole: what a kill, a power cut or a damaged disk left
// of it. A run never writes to the segment of another.
package pagelog

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"heliograph/firmware/platform/cause"
	"heliograph/firmware/platform/counter"
	"heliograph/firmware/platform/store"
)

// MinLimit is the smallest bound of a log, in bytes.
const MinLimit = 64 << 20

// Our own choices.
const (
	age         = 500 * time.Millisecond // of an open page, until it is written
	writeEvery  = 250 * time.Millisecond
	syncEvery   = 5 * time.Second
	retryEvery  = 5 * time.Second // after the disk failed
	mostSegment = 16 << 20        // bytes of a segment
	segments    = 16              // of a full log, at least
)

// Window has pages that are to be written.
type Window interface {
	// Unsaved returns the next one, closing those whose first record left at least age ago.
	Unsaved(now time.Time, age time.Duration) (body []byte, since time.Time, ok bool)
}

// Log is the pages of a folder. It implements task.Task, replay.Older and
// counter.Source.
type Log struct {
	dir     string
	limit   int64
	segment int64 // bytes of one
	log     *slog.Logger
	window  Window
	writer  writer

	mu       sync.Mutex
	segments []*segment // oldest first
	bytes    int64      // of all
	fault    error      // of the disk; nil while it works
	stats    Stats
	reader   reader
}

// Stats is what a log counts; the tags are those of package counter.
type Stats struct {
	Written uint64 `count:"written_pages" help:"Pages written to the disk."`
	Removed uint64 `count:"removed_segments" help:"Oldest files removed because the disk's share was full."`
	Cut     uint64 `count:"cut_segments" help:"Files that end within a page, after a kill, a power cut or damage."`
	Errors  uint64 `count:"disk_errors" help:"Times that the disk failed to write or to read pages."`
	Bytes   int64  `gauge:"disk_bytes" help:"What the pages take on the disk."`
}

// Open finds what earlier runs have left in a folder, which is made when it is missing.
// Limit is in bytes, MinLimit at least. A disk that fails is for Ready to report.
func Open(dir string, limit int64, log *slog.Logger) *Log {
	l := &Log{
		dir: dir, limit: limit, segment: min(limit/segments, mostSegment), log: log.With("component", "replay"),
	}
	l.reader.wake = make(chan struct{}, 1)
	if err := l.find(); err != nil {
		l.failed(err)
	}
	return l
}

// find lists the segments that there are. One that cannot be read now is left out, and its number not used again.
func (l *Log) find() (failed error) {
	if err := store.Folder(l.dir); err != nil {
		return err
	}
	names, err := os.ReadDir(l.dir)
	if err != nil {
		return err
	}
	for _, n := range names {
		if !strings.HasSuffix(n.Name(), suffix) {
			continue
		}
		s, err := openSegment(filepath.Join(l.dir, n.Name()))
		if errors.Is(err, errDamaged) {
			l.stats.Cut++
			_ = os.Remove(filepath.Join(l.dir, n.Name())) // nothing can be read of it
			continue
		}
		if err != nil {
			failed = cmp.Or(failed, err)
			if number, err := strconv.ParseUint(strings.TrimSuffix(n.Name(), suffix), 16, 64); err == nil {
				l.writer.number = max(l.writer.number, number)
			}
			continue
		}
		l.segments = append(l.segments, s)
		l.bytes += s.size
		l.writer.number = max(l.writer.number, s.number)
	}
	slices.SortFunc(l.segments, func(a, b *segment) int { return strings.Compare(a.path, b.path) })
	return failed
}

// Forget removes all pages: it is not known any more of which epoch they are.
func (l *Log) Forget() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, s := range l.segments {
		_ = os.Remove(s.path)
	}
	l.segments, l.bytes = nil, 0
}

// Save has the log write the pages of a window. To be called before Run.
func (l *Log) Save(w Window) { l.window = w }

// String names the task.
func (l *Log) String() string { return "replay pages on disk" }

// Ready returns why pages are not kept on the disk, or not read, while they are not.
func (l *Log) Ready() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.fault != nil {
		return cause.State(fmt.Errorf("replay pages are kept in memory alone: %w", l.fault))
	}
	for _, s := range l.segments {
		if s.unread != nil {
			return cause.State(fmt.Errorf("replay pages on the disk are not sent again: %w", s.unread))
		}
	}
	return nil
}

// Counters implements counter.Source.
func (l *Log) Counters() []counter.Set {
	l.mu.Lock()
	stats := l.stats
	stats.Bytes = l.bytes
	l.mu.Unlock()
	return []counter.Set{counter.Of("replay", "", &stats)}
}

// Run writes and reads until ctx ends. What is left then is for Close to write.
func (l *Log) Run(ctx context.Context) error {
	var reading sync.WaitGroup
	reading.Go(func() { l.read(ctx) })
	defer reading.Wait()
	ticker := time.NewTicker(writeEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case now := <-ticker.C:
			l.write(now, age)
		}
	}
}

// Close writes all that has left. To be called after the link has ended.
func (l *Log) Close() {
	if l.window == nil {
		return
	}
	l.writer.retry = time.Time{}
	l.write(time.Now(), 0)
	if l.writer.now == nil {
		return
	}
	if err := l.end(); err != nil {
		l.failed(err)
	}
}

// failed notes that the disk has failed, and logs it once.
func (l *Log) failed(err error) {
	l.mu.Lock()
	before := l.fault
	l.fault = err
	l.stats.Errors++
	l.mu.Unlock()
	if before == nil {
		l.log.Warn("replay pages are kept in memory alone", "state", "down", "error", err, "retry", retryEvery.String())
	}
}

// works notes that the disk works.
func (l *Log) works() {
	l.mu.Lock()
	before := l.fault
	l.fault = nil
	l.mu.Unlock()
	if before != nil {
		l.log.Info("replay pages are kept on the disk again", "state", "up")
	}
}
