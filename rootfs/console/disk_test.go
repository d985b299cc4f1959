package console

import (
	"strings"
	"testing"

	"heliograph/firmware/platform/disk"
)

func TestScreenShowsTheDisk(t *testing.T) {
	s := rx()
	s.Report.Snapshot.Disk = &disk.Usage{Bytes: 124 << 20, Free: 9 << 20, Fault: "the disk is nearly full"}
	const want = "DISK  9 MiB of 124 MiB free: the disk is nearly full\n"
	if got := Screen(s, Size{Columns: 80, Lines: 24}); !strings.Contains(got, want) {
		t.Errorf("no %q in\n%s", want, got)
	}
}
