package image

import (
	"fmt"
	"maps"
	"slices"

	"heliograph/boards"
	"heliograph/firmware/platform/release"
	"heliograph/rootfs/update"
)

// Configure changes the configuration of an image or a card as the options say: Config with
// the files that it names, Network, UpdateKey and PKI each replace what was there; what is
// not named stays, and is returned by its names; so does the pair key that Config names
// and that is not beside it. Release, when it is not 0, becomes the
// number of the release that the card boots. Nothing of what was replaced remains on the
// boot partition. What the console of a board has set since is on its data partition,
// and still comes first.
//
// It refuses, before it writes, a disk that is not ours, a damaged one, one of another role
// or board than the options name, and a configuration with faults.
func Configure(d Disk, o Options) (kept []string, err error) {
	m, _, err := Committed(d)
	if err != nil {
		return nil, err
	}
	if o.Role != "" && o.Role != m.Role || o.Board.Name != "" && o.Board.Name != m.Board {
		return nil, fmt.Errorf("image: this is of %s for %s", m.Role, m.Board)
	}
	o.Role = m.Role
	if o.Board, err = boardOf(m); err != nil {
		return nil, err
	}
	old, err := ReadContent(d)
	if err != nil {
		return nil, err
	}
	p, err := o.read(old)
	if err != nil {
		return nil, err
	}
	if err := p.over(old).Check(o.Role, o.Board); err != nil { // what stays, with what is new
		return nil, fmt.Errorf("image: %w", err)
	}
	if p.pairKey != "" {
		o.note("there is no %s beside %s: the pair key of that name stays", p.pairKey, o.Config)
	}
	return configure(d, o.Release, p)
}

func boardOf(m release.Manifest) (boards.Board, error) {
	b, ok := boards.ByName(m.Board)
	if !ok {
		return b, fmt.Errorf("image: this program does not know the board %s: use the one of the image's release",
			m.Board)
	}
	return b, nil
}

func configure(d Disk, number uint64, p parts) (kept []string, err error) {
	old, err := ReadContent(d)
	if err != nil {
		return nil, err
	}
	if err := renumber(d, number, p.key != nil); err != nil {
		return nil, err
	}
	c := p.over(old)
	for _, part := range []Content{p.role, p.network, p.key, p.pki} {
		maps.DeleteFunc(old, func(name string, _ []byte) bool { _, ok := part[name]; return ok })
	}
	for _, name := range slices.Sorted(maps.Keys(old)) {
		if _, ok := c[name]; ok {
			kept = append(kept, name)
		}
	}
	if err := WriteContent(d, c); err != nil {
		return nil, err
	}
	if f, ok := d.(interface{ Forget() error }); ok { // what is cached
		if err := f.Forget(); err != nil {
			return nil, fmt.Errorf("image: %v", err)
		}
	}
	now, err := ReadContent(d)
	if err != nil {
		return nil, fmt.Errorf("image: reading back: %w", err)
	}
	if name := c.Difference(now); name != "" {
		return nil, fmt.Errorf("image: it gave back another %s than was written: take another card", name)
	}
	return kept, nil
}

// renumber changes the committed set's number, and removes from it the key that an update
// has brought.
func renumber(d Disk, number uint64, dropKey bool) error {
	card, s, err := committed(d)
	if err != nil {
		return err
	}
	m, err := card.Manifest(s)
	if err != nil {
		return err
	}
	before := m
	if number != 0 {
		m.Version = number
	}
	if dropKey {
		m.UpdateKey = ""
	}
	if m.Version == before.Version && m.UpdateKey == before.UpdateKey {
		return nil
	}
	text, err := manifestText(m)
	if err != nil {
		return err
	}
	v, err := openBoot(d)
	if err != nil {
		return err
	}
	return v.Overwrite(d, string(rune(s))+"/"+release.ManifestFile, text)
}

// manifestText is a manifest as it stands on a card: followed by zeros.
func manifestText(m release.Manifest) ([]byte, error) {
	text, err := m.Encode()
	if err != nil {
		return nil, err
	}
	return append(text, make([]byte, update.ManifestRoom-len(text))...), nil
}
