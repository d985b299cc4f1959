//go:build !linux

package report

import "errors"

const noFollow = 0

// free is not known: boards run Linux.
func (realDisk) free(string) (int64, error) { return 0, errors.ErrUnsupported }
