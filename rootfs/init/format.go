package main

import (
	"io"
	"os"

	"github.com/diskfs/go-diskfs/backend/file"
	"github.com/diskfs/go-diskfs/filesystem/ext4"
)

// format writes an empty ext4 with a journal over all of a device.
func format(device string) error {
	f, err := os.OpenFile(device, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer f.Close()
	size, err := f.Seek(0, io.SeekEnd)
	if err != nil {
		return err
	}
	const sector = 512
	if _, err := ext4.Create(file.New(f, false), size, 0, sector, &ext4.Params{VolumeName: "heliograph"}); err != nil {
		return err
	}
	return f.Sync()
}
