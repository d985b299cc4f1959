package storage

import (
	"log/slog"
	"time"
)

// BootOptions are the options of mount(2) for the boot partition. By utf8 the kernel gives
// long names, which FAT has in UTF-16, in UTF-8: a configuration names its files so.
const BootOptions = "utf8"

// MountBoot mounts the boot partition, and tries again as often as for the data partition:
// within 15 seconds. The board mounts it at no other time.
func MountBoot(log *slog.Logger, mount func() error) error {
	for try := 0; ; try++ {
		err := mount()
		if err == nil || try == len(pauses) {
			return err
		}
		log.Warn("boot partition not mounted", "error", err, "retry", pauses[try].String())
		time.Sleep(pauses[try])
	}
}
