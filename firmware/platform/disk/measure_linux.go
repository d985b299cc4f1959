package disk

import "golang.org/x/sys/unix"

// statfs measures the disk with that folder, in bytes.
func statfs(folder string) (size, free uint64, err error) {
	var s unix.Statfs_t
	if err := unix.Statfs(folder, &s); err != nil {
		return 0, 0, err
	}
	block := uint64(max(s.Bsize, 0))
	return s.Blocks * block, s.Bavail * block, nil
}
