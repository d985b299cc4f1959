package image

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"heliograph/boards"
)

// ownOverlay writes the overlay of a board and role to a file.
func ownOverlay(t *testing.T, board, role string) (boards.Board, string) {
	t.Helper()
	b, _ := boards.ByName(board)
	overlay, err := pinmux(role, b.Link.Pins)
	if err != nil {
		t.Fatal(err)
	}
	own := filepath.Join(t.TempDir(), "own.dtbo")
	if err := os.WriteFile(own, overlay, 0o600); err != nil {
		t.Fatal(err)
	}
	return b, own
}

// The overlays are applied as the firmware would, by dtc's tools, to the trees
// that the image has.
func TestLinkHeaderCarriesOneDirection(t *testing.T) {
	kernel, err := download(Options{Source: "../.."}, kernelModule)
	if err != nil {
		t.Fatal(err)
	}
	for _, board := range []string{"rpi4b", "cm4", "rpi400", "cm4s", "rpi3bplus", "zero2w"} {
		for role, want := range map[string]map[string]string{
			"tx": {"brcm,pins": "14 15", "brcm,function": "4 0", "brcm,pull": "0 1"},
			"rx": {"brcm,pins": "14 15", "brcm,function": "0 4", "brcm,pull": "1 2"},
		} {
			t.Run(board+" "+role, func(t *testing.T) {
				b, own := ownOverlay(t, board, role)
				merged := filepath.Join(t.TempDir(), "merged.dtb")
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

// On RP1 the overlay brings the group, and the UART takes it.
func TestLinkHeaderOfRP1CarriesOneDirection(t *testing.T) {
	kernel, err := download(Options{Source: "../.."}, kernelModule)
	if err != nil {
		t.Fatal(err)
	}
	for role, want := range map[string]map[string]string{
		"tx": {"pin_txd": "uart0 gpio14 bias-disable",
			"pin_rxd": "gpio gpio15 bias-pull-down input-enable output-disable"},
		"rx": {"pin_txd": "gpio gpio14 bias-pull-down input-enable output-disable",
			"pin_rxd": "uart0 gpio15 bias-pull-up"},
	} {
		for _, board := range []string{"rpi5", "cm5"} {
			t.Run(board+" "+role, func(t *testing.T) {
				b, own := ownOverlay(t, board, role)
				merged := filepath.Join(t.TempDir(), "merged.dtb")
				peer(t, "fdtoverlay", "-i", filepath.Join(kernel.Dir, b.DeviceTree), "-o", merged, own)
				get := func(node, property string) string {
					return strings.TrimSpace(string(peer(t, "fdtget", merged, node, property)))
				}
				group := get("/__symbols__", boards.RP1Controller) + "/" + boards.RP1Group
				for pin, want := range want {
					got := []string{get(group+"/"+pin, "function"), get(group+"/"+pin, "pins")}
					for property := range strings.FieldsSeq(string(peer(t, "fdtget", "-p", merged, group+"/"+pin))) {
						if property != "function" && property != "pins" {
							got = append(got, property)
						}
					}
					slices.Sort(got[2:])
					if got := strings.Join(got, " "); got != want {
						t.Errorf("%s: got %q, want %q", pin, got, want)
					}
				}
				uart := get("/__symbols__", b.Link.Pins.Function.RP1)
				if got, want := get(uart, "pinctrl-0"), get(group, "phandle"); got != want {
					t.Errorf("%s takes the pins of %s, want %s", uart, got, want)
				}
				if got := get(uart, "status"); got != "okay" {
					t.Errorf("%s is %s, want okay", uart, got)
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
