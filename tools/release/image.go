package main

import (
	"os"
	"path/filepath"

	"heliograph/boards"
	"heliograph/tools/image"
)

// images makes the base images.
func (b *builder) images() error {
	var list []boards.Board
	for _, name := range b.boards {
		board, _ := boards.ByName(name) // checked
		list = append(list, board)
	}
	names, err := image.BuildBases(image.Options{Source: b.source, Version: b.version, Release: b.release,
		Notes: b.out}, list, b.output)
	for _, name := range names {
		if err == nil {
			err = os.Chmod(filepath.Join(b.output, name), 0o644)
		}
	}
	return err
}
