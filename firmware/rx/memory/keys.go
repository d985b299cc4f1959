package memory

import (
	"encoding/binary"
	"hash/crc32"
	"hash/maphash"
	"io"
	"os"
	"path/filepath"
	"sync"
	"syscall"

	"heliograph/firmware/platform/store"
)

// Keys are the keys of a channel on the disk: those of a list, and those that were
// added since.
//
//	keys-CHANNEL               package store: {length(uvarint) key}*
//	added-CHANNEL.0 and .1     {crc(4) length(4) key}*, appended to one of them
//
// big-endian; crc is CRC-32C over length and key; what follows an incomplete
// record is not read. An addition is in the page cache when Add returns: it
// survives the end of the process, and a power cut half a minute later. A key
// that went away stays on the list until the next one is written. The next run
// then finds it gone once more, which is harmless; a key that is missing would
// stay with IT's peers for ever. Safe for concurrent use.
type Keys struct {
	memory     *Memory
	part       string // of the state, in the operator's words
	list, logs string
	seed       maphash.Seed

	mu     sync.Mutex
	known  map[uint64]struct{} // hashes of those that need not be added
	added  [2]additions
	active int
	listed int64 // bytes of the list
	failed error // an addition did
}

type additions struct {
	f    *os.File
	size int64
}

// Our own bounds.
const (
	minAdded  = 64 << 10 // bytes of additions before a list is written again
	maxAdded  = 64 << 20 // bytes that are read
	keyHeader = 8
	addFlags  = os.O_RDWR | os.O_CREATE | os.O_APPEND | syscall.O_NOFOLLOW
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// Keys opens what is remembered of a channel's keys, to be called once for each
// channel. before are those of the run before. Damage means fewer: what went
// away meanwhile is then found when its peer is emptied.
func (m *Memory) Keys(channel string) (k *Keys, before [][]byte) {
	k = &Keys{
		memory: m, part: "keys of " + channel, seed: maphash.MakeSeed(), known: map[uint64]struct{}{},
		list: filepath.Join(m.dir, "keys-"+channel), logs: filepath.Join(m.dir, "added-"+channel),
	}
	learn := func(key []byte) {
		hash := maphash.Bytes(k.seed, key)
		if _, known := k.known[hash]; !known {
			k.known[hash] = struct{}{}
			before = append(before, key)
		}
	}
	b, _ := store.Read(k.list)
	k.listed = int64(len(b))
	for len(b) > 0 {
		n, size := binary.Uvarint(b)
		if size <= 0 || n > uint64(len(b)-size) {
			break
		}
		learn(b[size : size+int(n)])
		b = b[size+int(n):]
	}
	for i := range k.added {
		k.added[i].read(k.log(i), learn)
	}
	return k, before
}

func (k *Keys) log(i int) string { return k.logs + [...]string{".0", ".1"}[i] }

// read opens a log and calls learn with its keys. It is cut after the last whole
// record, so that what is appended can be read.
func (a *additions) read(path string, learn func(key []byte)) {
	f, err := os.OpenFile(path, addFlags, 0o600)
	if err != nil {
		return // the first addition tries again, and returns the error
	}
	b, _ := io.ReadAll(io.LimitReader(f, maxAdded))
	for len(b) >= keyHeader {
		n := uint64(binary.BigEndian.Uint32(b[4:]))
		if n > uint64(len(b)-keyHeader) || crc32.Checksum(b[4:keyHeader+n], castagnoli) != binary.BigEndian.Uint32(b) {
			break
		}
		learn(b[keyHeader : keyHeader+n])
		a.size += int64(keyHeader + n)
		b = b[keyHeader+n:]
	}
	a.f = f
	_ = f.Truncate(a.size)
}

// Add remembers a key, before a peer has it. One that is known costs nothing.
func (k *Keys) Add(key []byte) {
	k.mu.Lock()
	defer k.mu.Unlock()
	hash := maphash.Bytes(k.seed, key)
	if _, known := k.known[hash]; known || k.failed != nil {
		return // what the disk did not take is in the next list
	}
	if k.failed = k.append(key); k.failed == nil {
		k.known[hash] = struct{}{}
	}
}

func (k *Keys) append(key []byte) (err error) {
	a := &k.added[k.active]
	if a.f == nil {
		if a.f, err = os.OpenFile(k.log(k.active), addFlags, 0o600); err != nil {
			return err
		}
	}
	b := append(binary.BigEndian.AppendUint32(make([]byte, 4, keyHeader+len(key)), uint32(len(key))), key...)
	binary.BigEndian.PutUint32(b, crc32.Checksum(b[4:], castagnoli))
	n, err := a.f.Write(b)
	a.size += int64(n)
	return err
}

// Keep writes the list again when enough was added since the last one, when an
// addition failed, or when the run ends (last). all is called then
// alone; Add may be called meanwhile.
func (k *Keys) Keep(last bool, all func() [][]byte) {
	if !k.beginList(last) {
		return
	}
	keys := all()
	var b []byte
	for _, key := range keys {
		b = append(binary.AppendUvarint(b, uint64(len(key))), key...)
	}
	err := k.memory.onDisk(func() error { return store.Write(k.list, b) })
	k.memory.SetFault(k.part, k.endList(keys, int64(len(b)), err))
}

// beginList has what is added from now on go to the other log, where that is empty.
// It counts as known only when it is there: a key that the list is too early for
// must not be taken for one that the last list had.
func (k *Keys) beginList(last bool) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	size := k.added[0].size + k.added[1].size
	if k.failed == nil && (size == 0 || !last && size < max(minAdded, k.listed)) {
		return false
	}
	if k.added[1-k.active].size == 0 {
		k.active = 1 - k.active
	}
	k.failed = nil
	clear(k.known)
	return true
}

// endList empties the log that the list has made superfluous.
func (k *Keys) endList(keys [][]byte, size int64, err error) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	if old := &k.added[1-k.active]; err == nil && old.size > 0 {
		if err = old.f.Truncate(0); err == nil {
			old.size = 0
		}
	}
	if err == nil {
		err = k.failed
	}
	if err != nil {
		k.failed = err // the next Keep writes another list
		return err
	}
	k.listed = size
	for _, key := range keys {
		k.known[maphash.Bytes(k.seed, key)] = struct{}{}
	}
	return nil
}
