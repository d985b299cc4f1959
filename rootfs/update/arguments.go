package update

import (
	"bytes"
	"errors"
	"fmt"
	"strings"

	"heliograph/firmware/platform/release"
)

// Room of the files that differ between the sets of a card, in bytes.
const (
	ManifestRoom = release.MaxManifest
	ArgumentRoom = 1024
)

// CommandLine is the kernel's on a card with this disk signature: padded, so
// that the file has one length for ever.
func CommandLine(arguments string, signature uint32, s Set) []byte {
	line := fmt.Sprintf("root=PARTUUID=%08x-%02d %s", signature, s.Partition(), arguments)
	return fmt.Appendf(nil, "%-*s\n", ArgumentRoom-1, line)
}

// Running reads from the kernel's command line what CommandLine put there.
func Running(line string) (signature uint32, s Set, err error) {
	for _, word := range strings.Fields(line) {
		var number int
		if n, _ := fmt.Sscanf(word, "root=PARTUUID=%08x-%02d", &signature, &number); n == 2 &&
			(number == A.Partition() || number == B.Partition()) {
			return signature, A + Set(number-A.Partition()), nil
		}
	}
	return 0, 0, errors.New("update: the kernel's command line names no root slot")
}

// padded is the manifest as it stands on a card: followed by zeros.
func padded(manifest []byte) []byte {
	return append(bytes.Clone(manifest), make([]byte, ManifestRoom-len(manifest))...)
}
