package main

import (
	"encoding/json"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"heliograph/firmware/platform/disk"
	"heliograph/firmware/platform/store"
	"heliograph/rootfs/storage"
	"heliograph/rootfs/update"
)

// mountStorage mounts the card's boot and data partitions. It reports whether the board
// has to be restarted to try the data partition once more.
func mountStorage(log *slog.Logger, running *sync.WaitGroup) (restart bool) {
	device, result, err := prepareData(log)
	switch {
	case err != nil:
		result.Start = disk.Start{Memory: err.Error()}
	case result.Restart:
		return true
	}
	if !result.Mounted {
		log.Error("DATA IS KEPT IN MEMORY AND LOST AT THE NEXT RESTART", "error", result.Start.Memory)
		if err := unix.Mount("tmpfs", device.At, "tmpfs", inert, "mode=755,size=64m"); err != nil {
			log.Error("data folder not mounted", "error", err)
		}
	} else {
		running.Go(func() { growData(log, device) })
	}
	result.Start.Time = time.Now()
	if err := publishStart(result.Start); err != nil {
		log.Error("state of the data partition not published to the role", "error", err)
	}
	return false
}

// prepareData gives the data partition the room that the card has, and mounts it; the
// boot partition as well.
func prepareData(log *slog.Logger) (storage.Device, storage.Result, error) {
	device := storage.Device{At: "/data", Flags: inert | lazy}
	from, err := rootDisk("/")
	if err != nil {
		log.Error("boot partition not mounted", "error", err)
		return device, storage.Result{}, err
	}
	mountBoot(log, from)
	whole := filepath.Join("/dev", filepath.Base(from))
	card, err := update.OpenDevice(whole, false)
	if err != nil {
		return device, storage.Result{}, err
	}
	defer card.Close()
	switch gained, err := storage.Enlarge(card, whole); {
	case err != nil:
		log.Error("data partition not enlarged", "error", err)
	case gained > 0:
		log.Info("data partition enlarged to the end of the card", "bytes", gained)
	}
	if device.Name, err = partition(from, dataPartition); err != nil {
		return device, storage.Result{}, err
	}
	p := storage.Partition{Log: log, Card: card, Machine: device}
	return device, p.Prepare(), nil
}

// growData has the filesystem take all of its partition, which takes the kernel a while
// on a large card. The end of the board waits for it, as long as an end may take: the
// kernel's step is not cut off before.
func growData(log *slog.Logger, device storage.Device) {
	start := time.Now()
	switch gained, err := device.Grow(); {
	case err != nil:
		log.Error("filesystem of the data partition not grown", "error", err)
	case gained > 0:
		log.Info("filesystem of the data partition grown", "bytes", gained,
			"took", time.Since(start).Round(time.Millisecond).String())
	}
}

// publishStart writes what became of the data partition for the role.
func publishStart(s disk.Start) error {
	if err := os.MkdirAll(filepath.Dir(disk.File), 0o755); err != nil {
		return err
	}
	b, err := json.Marshal(s)
	if err != nil {
		return err
	}
	return store.ReplaceFile(disk.File, 0o644, b)
}
