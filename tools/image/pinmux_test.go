package image

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"heliograph/boards"
)

// The overlays are applied as the firmware would, by dtc's tools, to the trees
// that the image has.
func TestLinkHeaderCarriesOneDirection(t *testing.T) {
	kernel, err := download(Options{Source: "../.."}, kernelModule)
	if err != nil {
		t.Fatal(err)
	}
	for _, board := range []string{"rpi4b", "cm4"} {
		for role, want := range map[string]map[string]string{
			"tx": {"brcm,pins": "14 15", "brcm,function": "4 0", "brcm,pull": "0 1"},
			"rx": {"brcm,pins": "14 15", "brcm,function": "0 4", "brcm,pull": "1 2"},
		} {
			t.Run(board+" "+role, func(t *testing.T) {
				b, _ := boards.ByName(board)
				overlay, err := pinmux(role, b.Link.Pins)
				if err != nil {
					t.Fatal(err)
				}
				folder := t.TempDir()
				own, merged := filepath.Join(folder, "own.dtbo"), filepath.Join(folder, "merged.dtb")
				if err := os.WriteFile(own, overlay, 0o600); err != nil {
					t.Fatal(err)
				}
				args := []string{"-i", filepath.Join(kernel.Dir, b.DeviceTree), "-o", merged}
				for _, name := range b.Overlays {
					if strings.Contains(name, ",") {
						continue // its parameters are for the firmware alone
					}
					args = append(args, filepath.Join(kernel.Dir, "overlays", name+".dtbo"))
				}
				peer(t, "fdtoverlay", append(args, own)...)
				group := strings.TrimSpace(string(peer(t, "fdtget", merged, "/__symbols__", b.Link.Pins.Group)))
				for property, want := range want {
					if got := strings.TrimSpace(string(peer(t, "fdtget", merged, group, property))); got != want {
						t.Errorf("%s: got %q, want %q", property, got, want)
					}
				}
			})
		}
	}
}

func TestNoRoleNoPins(t *testing.T) {
	if _, err := pinmux("both", boards.Pins{}); err == nil {
		t.Error("got no error for a role that both sends and receives")
	}
}
