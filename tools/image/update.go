package image

import (
	"encoding/binary"
	"fmt"
	"io"
	"os"

	"aead.dev/minisign"

	"heliograph/firmware/platform/release"
	"heliograph/rootfs/update"
)

// BuildUpdate writes to Output the update file that makes a card's release this one, with
// the number Release. It leaves the card's configuration and keys as they are; UpdateKey
// names the key of the updates after it, "" the one that the card has. The set comes from
// a base image, or from a checkout, as Build has it.
func BuildUpdate(o Options, key minisign.PrivateKey) error {
	if err := o.check(); err != nil {
		return err
	}
	if err := o.checkOutput(); err != nil {
		return err
	}
	s, err := o.set()
	if err != nil {
		return err
	}
	return s.seal(o, key)
}

// seal signs the set and writes it.
func (s set) seal(o Options, key minisign.PrivateKey) error {
	if s.manifest.UpdateKey = ""; o.UpdateKey != "" {
		next, err := release.ReadKey(o.UpdateKey)
		if err != nil {
			return err
		}
		s.manifest.UpdateKey = next.String()
	}
	s.manifest.Version = max(o.Release, 1)
	return write(o.Output, func(f *os.File) error {
		return release.Seal(f, s.manifest, key, append(s.contents, s.root)...)
	})
}

// set returns what a base image has in set a, or what the checkout gives.
func (o Options) set() (set, error) {
	from, err := o.findBase()
	if err != nil {
		return set{}, err
	}
	if from.path == "" {
		p, err := compile(o)
		if err != nil {
			return set{}, err
		}
		return assembled(o, p)
	}
	f, err := os.CreateTemp("", "heliograph-*.img")
	if err != nil {
		return set{}, fmt.Errorf("image: %v", err)
	}
	defer os.Remove(f.Name())
	defer f.Close()
	if err := o.extract(from, f); err != nil {
		return set{}, err
	}
	return readSet(f)
}

// readSet reads set a of a base image, which was checked.
func readSet(r io.ReaderAt) (set, error) {
	card, err := update.Open(readOnly{r}, 0)
	if err != nil {
		return set{}, err
	}
	s := set{}
	if s.manifest, err = card.Manifest(update.A); err != nil {
		return set{}, err
	}
	v, err := openBoot(r)
	if err != nil {
		return set{}, err
	}
	for _, p := range s.manifest.Files {
		b, err := v.ReadFile("a/"+p.Name, bootSize)
		if err != nil || int64(len(b)) < p.Size {
			return set{}, fmt.Errorf("image: reading %s of the base image: %v", p.Name, err)
		}
		s.contents = append(s.contents, b[:p.Size])
	}
	if s.manifest.Root.Size > slotSize {
		return set{}, fmt.Errorf("image: a root filesystem of %d bytes", s.manifest.Root.Size)
	}
	head := make([]byte, sectorSize)
	if _, err := r.ReadAt(head, 0); err != nil {
		return set{}, fmt.Errorf("image: reading the base image: %v", err)
	}
	slot := int64(binary.LittleEndian.Uint32(head[446+16+8:])) * sectorSize
	s.root = make([]byte, s.manifest.Root.Size)
	if _, err := r.ReadAt(s.root, slot); err != nil {
		return set{}, fmt.Errorf("image: reading the base image: %v", err)
	}
	return s, nil
}
