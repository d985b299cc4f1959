// Command hostile is a compromised role: it tries one way around the sandbox,
// named by its first argument, and says what came of it: what it read from its
// link, "done", or the error's name.
package main

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// link is the descriptor; upper is the same to the kernel, which ignores the
// upper half of the register.
const (
	link  uintptr = 3
	upper uintptr = 0x1_0000_0003
)

// attempt returns what it read, or nothing.
type attempt func() ([]byte, error)

func main() {
	all := map[string]attempt{}
	for _, m := range []map[string]attempt{reading(), writing(), copying(), reopening(), asking(), reaching(),
		networking(), honest()} {
		for name, f := range m {
			all[name] = f
		}
	}
	f, ok := all[os.Args[1]]
	if !ok {
		fmt.Println("unknown attempt")
		os.Exit(1)
	}
	b, err := f()
	var errno syscall.Errno
	switch {
	case errors.As(err, &errno):
		fmt.Println(unix.ErrnoName(errno))
	case err != nil:
		fmt.Println(err)
	case len(b) > 0:
		fmt.Println(strings.TrimSpace(string(b)))
	default:
		fmt.Println("done")
	}
}

// argument is what the test knows and the role does not.
func argument(i int) string { return os.Args[2+i] }

func number(i int) int {
	n, _ := strconv.Atoi(argument(i))
	return n
}

// fail turns an errno into an error.
func fail(errno syscall.Errno) error {
	if errno == 0 {
		return nil
	}
	return errno
}
