package memory

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"slices"

	"heliograph/firmware/platform/store"
)

// encodeHoles returns the content of holes-KEYID.
func encodeHoles(epoch, sequence uint64, holes map[string][]byte) []byte {
	b := binary.BigEndian.AppendUint64(binary.BigEndian.AppendUint64(nil, epoch), sequence)
	for _, channel := range slices.Sorted(maps.Keys(holes)) {
		for _, part := range [][]byte{[]byte(channel), holes[channel]} {
			b = append(binary.AppendUvarint(b, uint64(len(part))), part...)
		}
	}
	return b
}

var errHoles = errors.New("memory: the list of missing records is damaged")

// addHoles replaces the holes of the account by those that were kept beside it at the
// end of the same run, which are exact.
func (f files) addHoles(s *state) error {
	b, err := store.Read(f.holes)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return err
	case len(b) < 16:
		return errHoles
	}
	if binary.BigEndian.Uint64(b) != s.Epoch || binary.BigEndian.Uint64(b[8:]) != s.Sequence || !s.Account.Exact {
		return nil // of another end
	}
	part := func() (p []byte) {
		n, size := binary.Uvarint(b)
		if size <= 0 || n > uint64(len(b)-size) {
			b, err = nil, errHoles
			return nil
		}
		p, b = b[size:size+int(n)], b[size+int(n):]
		return p
	}
	for b = b[16:]; len(b) > 0; {
		channel, holes := string(part()), part()
		if a, ok := s.Account.Channels[channel]; ok && err == nil {
			a.Holes = slices.Clone(holes)
			s.Account.Channels[channel] = a
		}
	}
	return err
}

// KeepHoles remembers the holes of channels that have more of them than the account
// has room for, to be called at the end of a run, before its account is kept.
func (m *Memory) KeepHoles(epoch, sequence uint64, holes map[string][]byte) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if !m.anchored || epoch != m.state.Epoch || len(holes) == 0 {
		return
	}
	b := encodeHoles(epoch, max(m.state.Sequence, sequence), holes)
	err := m.onDisk(func() error { return store.Write(m.files.holes, b) })
	if err != nil {
		err = fmt.Errorf("memory: keeping the list of missing records: %v", err)
	}
	m.setFault(holesPart, err)
}
