// Package image writes what a board boots from: one file, to be copied to a
// card as it is. It needs no root and no loop device. It takes a base image, which is
// one without a configuration, or builds that from a checkout with the Go compiler alone;
// then it puts the configuration in. The same sources and the same configuration give the
// same bytes in any folder and by either way. Of what an image had before nothing counts.
//
//	sector 0     MBR; its disk signature is a hash of the slot
//	1, 2 MiB     record of updates, empty (see package update)
//	3 MiB        attempts to mount the data partition, none (see package storage)
//	4 MiB        1: FAT32, 256 MiB: firmware, config.txt, tryboot.txt,
//	                heliograph/, and sets a/ and b/: kernel, initramfs,
//	                cmdline.txt, device tree, overlays, bill of materials,
//	                manifest.json
//	260 MiB      2: SquashFS, 64 MiB: slot A, the root filesystem
//	324 MiB      3: the same size for slot B, empty
//	388 MiB      4: data, the rest of 512 MiB, with the mark of package disk alone: PID 1
//	                makes it reach the end of the card, and formats it
//
// The whole is a power of two, which emulated card readers ask for; most of it
// is holes. The initramfs finds its slot by the disk signature, and mounts it when
// it is the one that it was built with.
//
// A base image is heliograph-VERSION-BOARD-ROLE.img, packed with zstd or not:
//
//	heliograph/  heliograph.toml and the files that it names, network.toml,
//	             update.pub, pki/: replaced as a whole, in one piece of the FAT;
//	             every free cluster is zeroed then, so that no key survives its card
//
// The package refuses a base image that is cut, damaged, larger than an image, not what
// SHA256SUMS beside it lists, or of another board, role or version; a disk that is not a
// card of ours; and a configuration with faults.
//
// The configuration is copied with the files that it names; no other secret
// gets in. An update is a file with the same set, signed; a set with more files than a card
// has cannot be installed there.
package image

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"heliograph/boards"
	"heliograph/firmware/platform/disk"
	"heliograph/tools/image/filesystem"
	"heliograph/tools/image/packed"
)

// Where the partitions are, in bytes.
const (
	bootStart  = 4 << 20
	bootSize   = 256 << 20
	slotSize   = 64 << 20
	slotAStart = bootStart + bootSize
	slotBStart = slotAStart + slotSize
	dataStart  = slotBStart + slotSize
	imageSize  = packed.MaxSize
	sectorSize = 512
)

// Options say what to make, of which base image.
type Options struct {
	Role  string // tx or rx
	Board boards.Board

	Config    string // the role's configuration; without one PID 1 says what is missing
	Network   string // the interface's address, see package network; may be empty
	PKI       string // folder with own/, trusted/, issuer/, trusted_users/ for the first start; may be empty
	UpdateKey string // file of the public key that updates must be signed with; without one none is installed
	Release   uint64 // rises with each release, from 1: an update to an older one is refused; 0: the base image's

	Images  string    // folder with base images; "": beside this program
	Source  string    // folder of the checkout that is built from when there is no base image; "": none
	Version string    // of this program
	Notes   io.Writer // what was compared, and with what; which base image is made; nil: nowhere
	Output  string
}

// Build writes the image to Output, whole or not at all: from a base image, or from the
// programs of a checkout. Both give the same bytes.
func Build(o Options) error {
	if err := o.check(); err != nil {
		return err
	}
	p, err := o.read(nil)
	if err != nil {
		return err
	}
	if err := o.checkOutput(); err != nil {
		return err
	}
	fill, err := o.origin()
	if err != nil {
		return err
	}
	return write(o.Output, func(f *os.File) error {
		if err := fill(f); err != nil {
			return err
		}
		_, err := configure(f, o.Release, p)
		return err
	})
}

// origin returns what writes the base image into an empty file.
func (o Options) origin() (func(*os.File) error, error) {
	from, err := o.findBase()
	if err != nil {
		return nil, err
	}
	if from.path != "" {
		return func(f *os.File) error { return o.extract(from, f) }, nil
	}
	p, err := compile(o)
	if err != nil {
		return nil, err
	}
	return func(f *os.File) error { return assemble(f, o, p) }, nil
}

func (o Options) check() error {
	if o.Role != "tx" && o.Role != "rx" {
		return fmt.Errorf("image: role %q is neither tx nor rx", o.Role)
	}
	if o.Board.Console.Device == "" {
		return fmt.Errorf("image: board %q is not a board that images are made for", o.Board.Name)
	}
	return nil
}

// checkOutput refuses, before the work, a file that cannot be written after it.
func (o Options) checkOutput() error {
	if info, err := os.Stat(o.Output); err == nil && !info.Mode().IsRegular() {
		return fmt.Errorf("image: -o %s is not a file: name one", o.Output)
	}
	f, err := os.CreateTemp(filepath.Dir(o.Output), filepath.Base(o.Output)+".*")
	if err != nil {
		reason := err
		if inner := errors.Unwrap(err); inner != nil {
			reason = inner
		}
		return fmt.Errorf("image: -o %s: no file can be made in %s: %v", o.Output, filepath.Dir(o.Output), reason)
	}
	f.Close()
	return os.Remove(f.Name())
}

// assemble writes the base image around the programs.
func assemble(f *os.File, o Options, p programs) error {
	s, err := assembled(o, p)
	if err != nil {
		return err
	}
	signature := binary.LittleEndian.Uint32(s.manifest.Root.Sum[:])
	boot, err := bootTree(o, s, signature)
	if err != nil {
		return err
	}
	if err := f.Truncate(imageSize); err != nil {
		return err
	}
	if _, err := f.WriteAt(masterBootRecord(signature), 0); err != nil {
		return err
	}
	if _, err := f.WriteAt(s.root, slotAStart); err != nil {
		return err
	}
	// What a card had before may have left copies of its superblock behind the image.
	if _, err := f.WriteAt([]byte(disk.Formatting), dataStart); err != nil {
		return err
	}
	return filesystem.WriteFAT(f, bootStart, bootSize, boot)
}

// write gives the file its name when all of it is on the disk.
func write(name string, fill func(*os.File) error) error {
	f, err := os.CreateTemp(filepath.Dir(name), filepath.Base(name)+".*")
	if err != nil {
		return fmt.Errorf("image: %v", err)
	}
	defer os.Remove(f.Name())
	defer f.Close()
	if err := fill(f); err != nil {
		return err
	}
	if err := f.Sync(); err != nil {
		return fmt.Errorf("image: %v", err)
	}
	if err := f.Close(); err != nil { // Windows renames no file that is open
		return fmt.Errorf("image: %v", err)
	}
	if err := os.Rename(f.Name(), name); err != nil {
		return fmt.Errorf("image: %v", err)
	}
	return nil
}

// masterBootRecord is the partition table, without code. A partition's kind is
// identified by one byte: 0x0C FAT32, 0x83 Linux.
func masterBootRecord(signature uint32) []byte {
	b := make([]byte, sectorSize)
	le := binary.LittleEndian
	le.PutUint32(b[440:], signature)
	for i, p := range []struct {
		kind        byte
		start, size uint32
	}{
		{0x0C, bootStart, bootSize},
		{0x83, slotAStart, slotSize},
		{0x83, slotBStart, slotSize},
		{0x83, dataStart, imageSize - dataStart},
	} {
		e := b[446+16*i:]
		copy(e[1:], "\xFE\xFF\xFF") // no cylinders:
		copy(e[5:], "\xFE\xFF\xFF") // sectors are counted
		e[4] = p.kind
		le.PutUint32(e[8:], p.start/sectorSize)
		le.PutUint32(e[12:], p.size/sectorSize)
	}
	le.PutUint16(b[510:], 0xAA55)
	return b
}
