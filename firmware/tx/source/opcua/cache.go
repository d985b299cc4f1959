package opcua

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"math"

	payload "heliograph/firmware/conduit/payload/opcua"
	"heliograph/firmware/opcua/addrspace"
	"heliograph/firmware/opcua/rawvalue"
	"heliograph/firmware/platform/store"
)

// The cache is the model on disk, which a restart begins with:
//
//	version(1): 1, scope(8), header length(4), header, handles(4),
//	{block number(4) length(4) block}*
//
// big-endian; scope is a hash of endpoint and patterns, for which the model is valid.

const cacheVersion = 1

var errCache = errors.New("opcua: address space cache is damaged")

// save writes the cache unless it is up to date: a card is not written after each browse
// that found nothing new.
func (m *model) save(path string, scope uint64) error {
	b := binary.BigEndian.AppendUint64([]byte{cacheVersion}, scope)
	header := m.SpaceHeader.Append(nil)
	b = append(binary.BigEndian.AppendUint32(b, uint32(len(header))), header...)
	b = binary.BigEndian.AppendUint32(b, uint32(len(m.nodes)))
	for number := range uint32((len(m.nodes) + payload.BlockNodes - 1) / payload.BlockNodes) {
		if block := m.block(number, math.MaxInt, nil); block != nil {
			b = binary.BigEndian.AppendUint32(b, number)
			b = binary.BigEndian.AppendUint32(b, uint32(len(block)))
			b = append(b, block...)
		}
	}
	hash := sha256.Sum256(b)
	if hash == m.saved {
		return nil
	}
	if err := store.Write(path, b); err != nil {
		return err
	}
	m.saved = hash
	return nil
}

// loadModel reads the cache. It returns nil if there is none for this scope.
func loadModel(path string, scope uint64, maxSize int) (*model, error) {
	b, err := store.Read(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("opcua: cache: %w", err)
	}
	if len(b) < 13 || b[0] != cacheVersion || binary.BigEndian.Uint64(b[1:]) != scope {
		return nil, nil
	}
	m := newModel(nil, maxSize)
	m.browsed = true
	m.saved = sha256.Sum256(b)
	b = b[9:]
	header, b, ok := cut(b)
	if !ok || m.SpaceHeader.Parse(header) != nil || len(b) < 4 {
		return nil, errCache
	}
	handles := binary.BigEndian.Uint32(b)
	if uint64(handles)*handleBytes > uint64(maxSize) {
		return nil, errCache
	}
	m.nodes, m.live = make([]rawvalue.NodeID, handles), make([]bool, handles)
	m.sizes, m.size = make([]uint32, handles), int(handles)*handleBytes
	for b = b[4:]; len(b) > 0; {
		if len(b) < 8 {
			return nil, errCache
		}
		number := binary.BigEndian.Uint32(b)
		var block []byte
		if block, b, ok = cut(b[4:]); !ok {
			return nil, errCache
		}
		if err := m.restore(number, block); err != nil {
			return nil, err
		}
	}
	return m, nil
}

// restore adds a cached block to the model. It counts as not handed over yet.
func (m *model) restore(number uint32, block []byte) error {
	var nodes []addrspace.Node
	bad := false
	err := m.packer.Unpack(block, func(slot byte, n addrspace.Node) {
		h := uint64(number)*payload.BlockNodes + uint64(slot)
		_, twice := m.handles[n.ID]
		if bad = bad || h >= uint64(len(m.nodes)) || twice; bad {
			return
		}
		m.handles[n.ID], m.nodes[h] = uint32(h), n.ID
		m.size += len(n.ID.Text)
		nodes = append(nodes, n)
	})
	if err != nil || bad {
		return errCache
	}
	return m.put(nodes)
}

func cut(b []byte) (head, rest []byte, ok bool) {
	if len(b) < 4 || uint64(binary.BigEndian.Uint32(b)) > uint64(len(b)-4) {
		return nil, nil, false
	}
	n := 4 + int(binary.BigEndian.Uint32(b))
	return b[4:n], b[n:], true
}
