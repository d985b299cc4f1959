package opcua

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"time"

	payload "heliograph/firmware/payload/opcua"
	"heliograph/firmware/rx/sink"
	"heliograph/firmware/store"
)

// cache keeps the structure of the picture on disk, so that after a restart
// clients find all nodes at once and only values are waited for:
//
//	version(1): 1, {key length(1) key payload length(4) payload}*
//
// big-endian; the records are those of package firmware/payload/opcua: space,
// blocks, tables. Values are not kept: what they were says nothing of what they are.
type cache struct {
	path  string
	saved time.Time
	busy  chan error // the result of a write under way
}

const (
	cacheVersion = 1
	saveEvery    = 10 * time.Second
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
		if len(b) < n+4 {
			return nil, errCache
		}
		u := sink.Update{Key: b[1:n:n]}
		size := uint64(binary.BigEndian.Uint32(b[n:]))
		if b = b[n+4:]; size > uint64(len(b)) {
			return nil, errCache
		}
		u.Payload, b = b[:size:size], b[size:]
		list = append(list, u)
	}
	return list, nil
}

// collect encodes the structure of a picture.
func collect(p sink.Picture) []byte {
	b := []byte{cacheVersion}
	for _, kind := range []payload.Kind{payload.Space, payload.Table, payload.Block} {
		p.Range(func(key, content []byte) bool {
			if len(key) > 0 && key[0] == byte(kind) {
				b = append(append(b, byte(len(key))), key...)
				b = append(binary.BigEndian.AppendUint32(b, uint32(len(content))), content...)
			}
			return true
		})
	}
	return b
}

// save writes the structure in the background, now and then. It returns how the
// last write went.
func (c *cache) save(p sink.Picture, now time.Time) (saved bool, err error) {
	select {
	case err = <-c.busy:
		c.busy = nil
	default:
	}
	if c.busy != nil || now.Sub(c.saved) < saveEvery {
		return false, err
	}
	c.saved = now
	b, done := collect(p), make(chan error, 1)
	c.busy = done
	go func() { done <- store.Write(c.path, b) }()
	return true, err
}

// wait returns when nothing is written any more.
func (c *cache) wait() {
	if c.busy != nil {
		<-c.busy
	}
}
