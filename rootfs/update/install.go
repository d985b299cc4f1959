package update

import (
	"errors"
	"fmt"
	"io"

	"aead.dev/minisign"

	"heliograph/firmware/platform/release"
)

// Target is what an update must be for.
type Target struct{ Role, Board string }

// Install puts an update into the set that is not committed, and asks for its
// trial at the next start. It reads the file twice: until the first pass has
// found everything as it was signed, nothing is written.
func (c *Card) Install(file io.ReadSeeker, key minisign.PublicKey, t Target) (release.Manifest, error) {
	committed, err := c.Committed()
	if err != nil {
		return release.Manifest{}, err
	}
	set := committed.Other()
	if set == c.running {
		return release.Manifest{}, errors.New("update: this machine runs from a set that is still on trial: wait " +
			"until it is committed")
	}
	if _, err := file.Seek(0, io.SeekStart); err != nil {
		return release.Manifest{}, fmt.Errorf("update: reading the file: %v", err)
	}
	m, text, err := release.Read(file, key)
	if err != nil {
		return m, err
	}
	files, err := c.inspect(m, t, set)
	if err != nil {
		return m, err
	}
	parts, err := file.Seek(0, io.SeekCurrent)
	if err != nil {
		return m, fmt.Errorf("update: reading the file: %v", err)
	}
	if err := m.Each(file, func(int, int64, []byte) error { return nil }); err != nil {
		return m, err
	}
	if _, err := file.Seek(parts, io.SeekStart); err != nil {
		return m, fmt.Errorf("update: reading the file again: %v", err)
	}
	return m, c.place(file, m, text, set, files)
}

// place is the second pass: it fills the set, and then asks for its trial.
func (c *Card) place(file io.Reader, m release.Manifest, text []byte, set Set, files map[string]extent) error {
	// From here on this set is not tried until it is complete.
	if err := c.save(record{floor: c.record.floor, boots: c.record.boots}); err != nil {
		return err
	}
	if err := c.write(file, m, set, files); err != nil {
		return err
	}
	if err := c.put(padded(text), files[ManifestFile].at); err != nil {
		return err
	}
	if err := c.put(CommandLine(m.Arguments, c.signature, set), files[ArgumentFile].at); err != nil {
		return err
	}
	if err := c.flush(); err != nil {
		return err
	}
	if _, err := c.Check(set); err != nil {
		return fmt.Errorf("%w: the card does not keep what is written to it: replace it", err)
	}
	if err := c.choose(triedFile, set); err != nil {
		return err
	}
	return c.save(record{floor: c.record.floor, boots: c.record.boots, pending: m.Version, target: set})
}

// inspect returns where the files of an update go, if it is for this card.
func (c *Card) inspect(m release.Manifest, t Target, set Set) (map[string]extent, error) {
	if m.Role != t.Role || m.Board != t.Board {
		return nil, fmt.Errorf("update: the file is for %s on %s, this card is %s on %s", m.Role, m.Board, t.Role,
			t.Board)
	}
	if floor := c.floor(set.Other()); m.Version < floor {
		return nil, fmt.Errorf("update: the file has version %d, and this card has had %d: an older one is not "+
			"installed", m.Version, floor)
	}
	return c.rooms(m, set)
}

// rooms returns where the parts go, when there is room for each and no file of
// the set would be left as it was.
func (c *Card) rooms(m release.Manifest, set Set) (map[string]extent, error) {
	files, err := c.boot.files(set.folder())
	if err != nil {
		return nil, err
	}
	if files[ManifestFile].size != ManifestRoom || files[ArgumentFile].size != ArgumentRoom ||
		len(files) != len(m.Files)+2 {
		return nil, errors.New("update: this card's boot partition has other files: write the card again")
	}
	for _, p := range m.Files {
		if room, ok := files[p.Name]; !ok || p.Size > room.size {
			return nil, fmt.Errorf("update: the card has %d bytes for %s and needs %d: write the card again", room.size,
				p.Name, p.Size)
		}
	}
	if room := c.slot(set).size; m.Root.Size > room {
		return nil, fmt.Errorf("update: a root slot has %d bytes and needs %d: write the card again", room, m.Root.Size)
	}
	return files, nil
}

// write copies the parts. What the file holds now may differ from what it held
// in the first pass, so they are compared again.
func (c *Card) write(file io.Reader, m release.Manifest, set Set, files map[string]extent) error {
	return m.Each(file, func(part int, at int64, b []byte) error {
		if part == len(m.Files) {
			return c.put(b, c.slot(set).at+at)
		}
		room, end := files[m.Files[part].Name], at+int64(len(b))
		if err := c.put(b, room.at+at); err != nil || end < m.Files[part].Size {
			return err
		}
		return c.clear(extent{room.at + end, room.size - end})
	})
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
