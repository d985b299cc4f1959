package image

import (
	_ "github.com/gokrazy/firmware"   // pins the version: its files are read, not its code
	_ "github.com/gokrazy/kernel.rpi" // the same
)
