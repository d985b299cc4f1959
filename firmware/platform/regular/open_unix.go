//go:build unix

package regular

import "syscall"

const nonBlock = syscall.O_NONBLOCK // open(2) of a pipe must not wait for a writer
