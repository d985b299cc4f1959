package main

import (
	"os"
	"strings"

	"golang.org/x/sys/unix"
)

// imageWord returns a word that the image was built with.
func imageWord(name string) string {
	b, err := os.ReadFile("/etc/heliograph/" + name)
	if err != nil {
		return "unknown"
	}
	return strings.TrimSpace(string(b))
}

func kernelRelease() string {
	var u unix.Utsname
	if err := unix.Uname(&u); err != nil {
		return "unknown"
	}
	return unix.ByteSliceToString(u.Release[:])
}
