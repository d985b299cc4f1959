package opcua

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"time"

	payload "heliograph/firmware/conduit/payload/opcua"
	"heliograph/firmware/platform/store"
	"heliograph/firmware/rx/sink"
)

// cache keeps the structure and its metadata on disk, so that after a restart clients find all
// nodes at once and can decode values; only process values are missing:
//
//	version(1): 2, {key length(1) key time(8) payload length(4) payload}*
//
// big-endian; the records are those of package firmware/conduit/payload/opcua: space, tables,
// blocks, values; time is ns since 1970, 0: none. Process values are not cached: the old ones
// would be stale.
type cache struct {
	path    string
	savedAt time.Time  // when the last write began
	writing chan error // receives the result of a write; nil: none runs
	failed  bool       // the last write that has ended failed
}

const (
	cacheVersion = 2
	saveEvery    = 10 * time.Second
	// metadataSaveEvery is for metadata alone: a server may change it all the time.
	metadataSaveEvery = 15 * time.Minute
)

var errCache = errors.New("the cached address space is damaged and not used")

// load returns the cached records, none if there is no cache.
func (c *cache) load() (list []sink.Update, err error) {
	b, err := store.Read(c.path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("cache: %w", err)
	}
	if len(b) == 0 || b[0] != cacheVersion {
		return nil, nil
	}
	for b = b[1:]; len(b) > 0; {
		n := 1 + int(b[0])
		if len(b) < n+12 {
			return nil, errCache
		}
		u := sink.Update{Key: b[1:n:n]}
		if ns := int64(binary.BigEndian.Uint64(b[n:])); ns != 0 {
			u.Time = time.Unix(0, ns)
		}
		size := uint64(binary.BigEndian.Uint32(b[n+8:]))
		if b = b[n+12:]; size > uint64(len(b)) {
			return nil, errCache
		}
		u.Payload, b = b[:size:size], b[size:]
		list = append(list, u)
	}
	return list, nil
}

// collect encodes the structure of a channel and its metadata.
func collect(ch Channel, describes func(payload.Key) bool) []byte {
	b := []byte{cacheVersion}
	for _, kind := range []payload.Kind{payload.Space, payload.Table, payload.Block, payload.Value} {
		ch.States(func(u sink.Update) bool {
			if len(u.Key) == 0 || u.Key[0] != byte(kind) {
				return true
			}
			if kind == payload.Value {
				if k, err := payload.ParseKey(u.Key); err != nil || !describes(k) {
					return true
				}
			}
			ns := int64(0)
			if !u.Time.IsZero() {
				ns = u.Time.UnixNano()
			}
			b = append(append(b, byte(len(u.Key))), u.Key...)
			b = binary.BigEndian.AppendUint64(b, uint64(ns))
			b = append(binary.BigEndian.AppendUint32(b, uint32(len(u.Payload))), u.Payload...)
			return true
		})
	}
	return b
}

// isDue reports whether changes of the structure, or of metadata only, are to be written now.
func (c *cache) isDue(structure, values bool, now time.Time) bool {
	since := now.Sub(c.savedAt)
	return structure && since >= saveEvery || values && since >= metadataSaveEvery
}

// save writes what collect returns in the background, and returns false if a write still runs.
func (c *cache) save(collect func() []byte, now time.Time) bool {
	if c.writing != nil {
		return false
	}
	c.savedAt = now
	b, done := collect(), make(chan error, 1)
	c.writing = done
	go func() { done <- store.Write(c.path, b) }()
	return true
}

// result returns the result of a write once, when it has ended; ended is false before that, and
// without one.
func (c *cache) result() (ended bool, err error) {
	select {
	case err = <-c.writing:
		c.writing = nil
		return true, err
	default:
		return false, nil
	}
}

// wait waits for the running write to end and returns its result; ended is false without one.
func (c *cache) wait() (ended bool, err error) {
	if c.writing == nil {
		return false, nil
	}
	err = <-c.writing
	c.writing = nil
	return true, err
}
