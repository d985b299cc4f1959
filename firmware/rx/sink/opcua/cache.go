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

// cache keeps the structure of the picture on disk, and the values that describe it, so
// that after a restart clients find all nodes at once, can decode what is below them, and
// only values that report are waited for:
//
//	version(1): 2, {key length(1) key time(8) payload length(4) payload}*
//
// big-endian; the records are those of package firmware/conduit/payload/opcua: space, tables,
// blocks, values; time is ns since 1970, 0: none. What other values were says nothing of
// what they are.
type cache struct {
	path  string
	saved time.Time
	busy  chan error // the result of a write under way
}

const (
	cacheVersion = 2
	saveEvery    = 10 * time.Second
	// learnEvery is for values alone: a server may change one that describes all the time.
	learnEvery = 15 * time.Minute
)

var errCache = errors.New("the cached address space is damaged; it comes over the link again")

// load returns the records of the run before; none without an error on the first.
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

// collect encodes the structure of a picture, and the values that describe it.
func collect(p Channel, describes func(payload.Key) bool) []byte {
	b := []byte{cacheVersion}
	for _, kind := range []payload.Kind{payload.Space, payload.Table, payload.Block, payload.Value} {
		p.States(func(u sink.Update) bool {
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

// due tells whether something that changed is to be written: the structure, or values alone.
func (c *cache) due(structure, values bool, now time.Time) bool {
	since := now.Sub(c.saved)
	return structure && since >= saveEvery || values && since >= learnEvery
}

// save writes what collect returned, in the background. It returns how the last write went;
// saved is false while that is under way.
func (c *cache) save(collect func() []byte, now time.Time) (saved bool, err error) {
	select {
	case err = <-c.busy:
		c.busy = nil
	default:
	}
	if c.busy != nil {
		return false, err
	}
	c.saved = now
	b, done := collect(), make(chan error, 1)
	c.busy = done
	go func() { done <- store.Write(c.path, b) }()
	return true, err
}

// wait returns when nothing is written any more.
func (c *cache) wait() {
	if c.busy != nil {
		<-c.busy
		c.busy = nil
	}
}
