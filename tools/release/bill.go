package main

import (
	"io"
	"maps"
	"os"
	"slices"

	"heliograph/tools/image"
)

// bill writes what the programs and images of the release were built from.
func (b *builder) bill() error {
	if slices.Contains(b.parts, partImages) {
		for _, name := range []string{"heliotx", "heliorx", "init", "initramfs"} {
			if _, err := b.program("linux/arm64", name); err != nil {
				return err
			}
		}
	}
	var programs [][]byte
	for _, id := range slices.Sorted(maps.Keys(b.built)) {
		program, err := os.ReadFile(b.built[id])
		if err != nil {
			return err
		}
		programs = append(programs, program)
	}
	text, err := image.BillOfMaterials(image.Options{Source: b.source, Version: b.version}, "application", toolName,
		programs...)
	if err != nil {
		return err
	}
	return b.create(toolName+"_"+b.version+".cdx.json", func(w io.Writer) error { _, err := w.Write(text); return err })
}
