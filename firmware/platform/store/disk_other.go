//go:build !linux

package store

import "os"

const direct = 0 // no such flag of open: writes are synced alone

func syncData(f *os.File) error { return f.Sync() }
