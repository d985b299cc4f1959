//go:build !linux

package disk

import "errors"

// statfs measures nothing: roles run on Linux.
func statfs(string) (size, free uint64, err error) { return 0, 0, errors.ErrUnsupported }
