package update

import (
	"bytes"
	"errors"
	"fmt"
	"io"

	"aead.dev/minisign"
)

// Target is what an update must be for.
type Target struct{ Role, Board string }

// Install puts an update into the set that is not committed, and asks for its
// trial at the next start. It reads the file twice: until the first pass has
// found everything as it was signed, nothing is written.
func (c *Card) Install(file io.ReadSeeker, key minisign.PublicKey, t Target) (Manifest, error) {
	committed, err := c.Committed()
	if err != nil {
		return Manifest{}, err
	}
	set := committed.Other()
	if set == c.running {
		return Manifest{}, errors.New("update: this machine runs from a set that is still on trial: wait until it is committed")
	}
	m, text, files, err := c.inspect(file, key, t, set)
	if err != nil {
		return m, err
	}
	// From here on nothing tries this set until all of it is there.
	if err := c.save(record{floor: c.record.floor, boots: c.record.boots}); err != nil {
		return m, err
	}
	if err := c.write(file, key, set, text, files); err != nil {
		return m, err
	}
	if err := c.flush(); err != nil {
		return m, err
	}
	if _, err := c.Check(set); err != nil {
		return m, fmt.Errorf("%w: the card does not keep what is written to it: replace it", err)
	}
	if err := c.choose(triedFile, set); err != nil {
		return m, err
	}
	return m, c.save(record{floor: c.record.floor, boots: c.record.boots, pending: m.Version, target: set})
}

// inspect is the first pass: signature, sense, room, contents.
func (c *Card) inspect(file io.ReadSeeker, key minisign.PublicKey, t Target, set Set) (Manifest, []byte, map[string]extent, error) {
	m, text, err := begin(file, key)
	if err != nil {
		return m, nil, nil, err
	}
	if m.Role != t.Role || m.Board != t.Board {
		return m, nil, nil, fmt.Errorf("update: the file is for %s on %s, this card is %s on %s", m.Role, m.Board, t.Role, t.Board)
	}
	if floor := c.floor(set.Other()); m.Version < floor {
		return m, nil, nil, fmt.Errorf("update: the file has version %d, and this card has had %d: an older one is not installed", m.Version, floor)
	}
	files, err := c.rooms(m, set)
	if err != nil {
		return m, nil, nil, err
	}
	return m, text, files, m.each(file, func(int, int64, []byte) error { return nil })
}

// begin reads a file from its start.
func begin(file io.ReadSeeker, key minisign.PublicKey) (Manifest, []byte, error) {
	if _, err := file.Seek(0, io.SeekStart); err != nil {
		return Manifest{}, nil, fmt.Errorf("update: reading the file: %v", err)
	}
	return read(file, key)
}

// rooms returns where the parts go, when there is room for each and no file of
// the set would be left as it was.
func (c *Card) rooms(m Manifest, set Set) (map[string]extent, error) {
	files, err := c.boot.files(set.folder())
	if err != nil {
		return nil, err
	}
	if files[ManifestFile].size != ManifestRoom || files[ArgumentFile].size != ArgumentRoom || len(files) != len(m.Files)+2 {
		return nil, errors.New("update: this card's boot partition has other files: write the card anew")
	}
	for _, p := range m.Files {
		if room, ok := files[p.Name]; !ok || p.Size > room.size {
			return nil, fmt.Errorf("update: the card has %d bytes for %s and needs %d: write the card anew", room.size, p.Name, p.Size)
		}
	}
	if room := c.slot(set).size; m.Root.Size > room {
		return nil, fmt.Errorf("update: a root slot has %d bytes and needs %d: write the card anew", room, m.Root.Size)
	}
	return files, nil
}

// write is the second pass. What the file holds now may differ from what it
// held before, so all of it is compared again.
func (c *Card) write(file io.ReadSeeker, key minisign.PublicKey, set Set, text []byte, files map[string]extent) error {
	m, again, err := begin(file, key)
	if err != nil {
		return err
	}
	if !bytes.Equal(again, text) {
		return errors.New("update: the file changed while it was read")
	}
	err = m.each(file, func(part int, at int64, b []byte) error {
		if part == len(m.Files) {
			return c.put(b, c.slot(set).at+at)
		}
		room, end := files[m.Files[part].Name], at+int64(len(b))
		if err := c.put(b, room.at+at); err != nil || end < m.Files[part].Size {
			return err
		}
		return c.clear(extent{room.at + end, room.size - end})
	})
	if err != nil {
		return err
	}
	if err := c.put(padded(text), files[ManifestFile].at); err != nil {
		return err
	}
	return c.put(CommandLine(m.Arguments, c.signature, set), files[ArgumentFile].at)
}

// clear leaves nothing of an older, longer file behind the new one.
func (c *Card) clear(e extent) error {
	zeros := make([]byte, chunk)
	for e.size > 0 {
		n := min(e.size, chunk)
		if err := c.put(zeros[:n], e.at); err != nil {
			return err
		}
		e.at, e.size = e.at+n, e.size-n
	}
	return nil
}

func (c *Card) put(b []byte, at int64) error {
	if _, err := c.disk.WriteAt(b, at); err != nil {
		return fmt.Errorf("update: writing the card at byte %d: %v", at, err)
	}
	return nil
}
