package flash

import (
	"strings"
	"testing"
)

// TestWindowsListsItsDrives runs on Windows, or on what stands in for it. It needs
// no drive and no right.
func TestWindowsListsItsDrives(t *testing.T) {
	list, err := Local().Drives()
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range list {
		t.Logf("%s, system %v, removable %v, sectors of %d bytes", d, d.System, d.Removable, d.Sector)
		if !strings.HasPrefix(d.Path, `\\.\PhysicalDrive`) {
			t.Errorf("got the path %s", d.Path)
		}
	}
	for path, want := range map[string]string{
		`\\.\PhysicalDrive63`: "is not a drive", `\\.\COM1`: "neither a drive", "NUL": "neither a drive",
		"Q:": "is not a drive",
	} {
		if _, ok, err := Local().At(path); ok || !contains(err, want) {
			t.Errorf("%s: got %v, %v; want %q", path, ok, err, want)
		}
	}
	if _, ok, err := Local().At("card.img"); ok || err != nil {
		t.Errorf("got %v, %v for a file that can be made", ok, err)
	}
}
