package image

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"heliograph/boards"
	"heliograph/firmware/platform/release"
	"heliograph/tools/image/filesystem"
)

const (
	kernelModule  = "github.com/gokrazy/kernel.rpi"
	initramfsFile = "initramfs"
	billFile      = "sbom.cdx.json"
)

// set is what a release is: what an image has in set a, and an update brings.
type set struct {
	manifest release.Manifest
	contents [][]byte // of the manifest's files
	root     []byte
}

// assembled makes a set of the programs.
func assembled(o Options, p programs) (set, error) {
	root, err := rootSlot(o, p)
	if err != nil {
		return set{}, err
	}
	if len(root) > slotSize {
		return set{}, fmt.Errorf("image: the root filesystem needs %d bytes and a slot has %d", len(root), slotSize)
	}
	kernel, err := kernelFiles(o)
	if err != nil {
		return set{}, err
	}
	s := set{root: root, manifest: release.Manifest{
		Role: o.Role, Board: o.Board.Name, Version: max(o.Release, 1), Name: o.Version,
		Arguments: arguments(o.Board), Root: release.PartOf("root", root),
	}}
	if kernel[initramfsFile], err = initramfs(p.initramfs, s.manifest.Root); err != nil {
		return set{}, err
	}
	kernel[billFile] = p.bill
	for name := range kernel {
		s.manifest.Files = append(s.manifest.Files, release.PartOf(name, kernel[name]))
	}
	slices.SortFunc(s.manifest.Files, func(a, b release.Part) int { return strings.Compare(a.Name, b.Name) })
	for _, f := range s.manifest.Files {
		s.contents = append(s.contents, kernel[f.Name])
	}
	return s, nil
}

// kernelFiles are the kernel and the description of the board.
func kernelFiles(o Options) (map[string][]byte, error) {
	kernel, err := download(o, kernelModule)
	if err != nil {
		return nil, err
	}
	names := []string{"vmlinuz"}
	files := map[string][]byte{}
	if o.Board.HasFirmware {
		names = append(append(names, o.Board.DeviceTree, "overlays/overlay_map.dtb"), o.Board.Variants...)
		for _, overlay := range slices.Concat(o.Board.Loaded, o.Board.Overlays) {
			name, _, _ := strings.Cut(overlay, ",")
			names = append(names, "overlays/"+name+".dtbo")
		}
		// The firmware looks for this one before it takes overlays from a set.
		files["overlays/README"] = []byte("Overlays of " + kernel.Path + " " + kernel.Version + ".\n")
	}
	for _, name := range names {
		if files[name], err = os.ReadFile(filepath.Join(kernel.Dir, name)); err != nil {
			return nil, fmt.Errorf("image: %v", err)
		}
	}
	if o.Board.Link.Pins != (boards.Pins{}) {
		files["overlays/"+overlayPinmux+".dtbo"], err = pinmux(o.Role, o.Board.Link.Pins)
	}
	return files, err
}

// initramfs is the archive with the first program, which finds its root.
func initramfs(program []byte, slot release.Part) ([]byte, error) {
	pin, err := json.Marshal(slot)
	if err != nil {
		return nil, err
	}
	root := filesystem.Tree()
	root.Add("init", 0o755, program)
	root.Add("root.json", 0o444, pin)
	for _, name := range []string{"dev", "proc", "root", "sys"} {
		root.Mkdir(name)
	}
	var b bytes.Buffer
	z, err := gzip.NewWriterLevel(&b, gzip.BestCompression)
	if err != nil {
		return nil, err
	}
	if _, err := z.Write(filesystem.Cpio(root)); err != nil {
		return nil, err
	}
	if err := z.Close(); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}

// arguments are the kernel's: messages go to the console, never to the link.
func arguments(b boards.Board) string {
	words := []string{"console=" + b.KernelConsole(), "panic=10", "oops=panic", "quiet"}
	if b.Watchdog != "" {
		words = append(words, fmt.Sprintf("watchdog.open_timeout=%d", kernelWatchdog))
	}
	return strings.Join(append(words, b.KernelArgs...), " ")
}
