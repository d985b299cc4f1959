package memory

import (
	"encoding/binary"
	"path/filepath"

	"heliograph/firmware/store"
)

// Keys returns the keys of a channel that the run before knew. Damage means
// none: what went away meanwhile is then found when its peer is emptied.
func (m *Memory) Keys(channel string) (keys [][]byte) {
	b, err := store.Read(m.keyFile(channel))
	for err == nil && len(b) > 0 {
		n, size := binary.Uvarint(b)
		if size <= 0 || n > uint64(len(b)-size) {
			return nil
		}
		keys = append(keys, b[size:size+int(n)])
		b = b[size+int(n):]
	}
	return keys
}

// KeepKeys remembers the keys of a channel.
func (m *Memory) KeepKeys(channel string, keys [][]byte) error {
	var b []byte
	for _, key := range keys {
		b = binary.AppendUvarint(b, uint64(len(key)))
		b = append(b, key...)
	}
	return store.Write(m.keyFile(channel), b)
}

func (m *Memory) keyFile(channel string) string { return filepath.Join(m.dir, "keys-"+channel) }
