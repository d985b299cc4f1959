package packed

import (
	"io/fs"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

func TestFullDiskIsNotADamagedImage(t *testing.T) {
	err := packing{name: "zstd"}.damaged(Space(&fs.PathError{Op: "write", Err: syscall.ENOSPC},
		filepath.Join("some", "card.img")))
	if want := "no space left in some: free 512 MiB"; err == nil || err.Error() != want {
		t.Errorf("got %v, want %q", err, want)
	}
	if err := Space(syscall.EIO, "x"); err == nil || strings.Contains(err.Error(), "space") {
		t.Errorf("got %v, want the error as it is", err)
	}
}
