package ethernet

import (
	"bytes"
	"errors"
	"log/slog"
	"os/exec"
	"strings"
	"testing"
	"time"

	"heliograph/ci/await"
	"heliograph/drivers/ethernet/ethernettest"

	"golang.org/x/sys/unix"
)

// sysfs reads a file of the interface with another reader than ours: the sysfs of this
// network namespace, mounted for cat alone.
func sysfs(t *testing.T, iface, file string) string {
	t.Helper()
	out, err := exec.Command("unshare", "-m", "sh", "-c", `mount -t sysfs none /sys && cat "/sys/class/net/$1/$2"`, "-",
		iface, file).CombinedOutput()
	if err != nil {
		t.Fatalf("reading %s of %s: %v: %s", file, iface, err, out)
	}
	return strings.TrimSpace(string(out))
}

// logged opens a port and returns what was logged.
func logged(t *testing.T, p Port) (string, error) {
	t.Helper()
	var b bytes.Buffer
	r, err := OpenReceiver(p, slog.New(slog.NewTextHandler(&b, nil)))
	if err == nil {
		t.Cleanup(func() { _ = r.Close() })
	}
	return b.String(), err
}

func TestASpeedIsFixedAndReadBack(t *testing.T) {
	ethernettest.Namespace(t, "that the kernel takes a fixed speed")
	ethernettest.Tun(t, "tap0") // its driver keeps what is set
	out, err := logged(t, Port{Interface: "tap0", Speed: 100})
	if err != nil {
		t.Fatal(err)
	}
	if speed, duplex := sysfs(t, "tap0", "speed"), sysfs(t, "tap0", "duplex"); speed != "100" || duplex != "full" {
		t.Errorf("the kernel says %s, %s; want 100, full", speed, duplex)
	}
	if !strings.Contains(out, `speed="100 Mbit/s, full duplex, fixed"`) {
		t.Errorf("logged %s, want what was read back", out)
	}
	silent(t, "tap0")
}

func TestWithoutASpeedTheInterfaceStaysAsFound(t *testing.T) {
	ethernettest.Namespace(t, "that a speed that is not configured is left alone")
	ethernettest.Tun(t, "tap0")
	ethernettest.IP(t, "link", "set", "tap0", "up")
	before := sysfs(t, "tap0", "speed")
	if out, err := logged(t, Port{Interface: "tap0"}); err != nil || !strings.Contains(out, `speed="as found"`) {
		t.Errorf("logged %s, %v; want the speed as found", out, err)
	}
	if speed := sysfs(t, "tap0", "speed"); speed != before || speed == "100" {
		t.Errorf("the kernel says %s, want %s as before", speed, before)
	}
}

func TestASpeedThatTheHardwareDoesNotDoIsRefused(t *testing.T) {
	ethernettest.Namespace(t, "that a driver without a speed is refused")
	ethernettest.Cable(t, "near0", "far0") // its driver has 10,000 Mbit/s, and nothing to set
	if _, err := logged(t, Port{Interface: "near0", Speed: 100}); !errors.Is(err, unix.EOPNOTSUPP) ||
		!strings.Contains(err.Error(), "near0: fixing its speed: its driver refuses 100 Mbit/s full duplex") ||
		strings.Contains(err.Error(), "\n") {
		t.Errorf("got %v, want one line that says that the driver refuses it", err)
	}
}

func TestAPortIsFoundByItsAddressAndAgainUnderAnotherName(t *testing.T) {
	ethernettest.Namespace(t, "that an interface is found by its address")
	ethernettest.Cable(t, "near0", "far0")
	r, err := OpenReceiver(Port{Interface: "mac:02:00:00:00:00:01"}, quiet())
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	x := transmitter(t, "far0")
	cross := func() {
		t.Helper()
		await.True(t, "a frame crosses", func() (ok bool) {
			_, _ = x.Transmit([][]byte{[]byte("frame")})
			_ = r.Receive(20*time.Millisecond, func([]byte) { ok = true })
			return ok
		})
	}
	cross()
	ethernettest.IP(t, "link", "del", "near0")
	if err := r.Receive(bound, func([]byte) {}); err == nil {
		t.Error("Receive while away = nil, want an error")
	}
	ethernettest.Cable(t, "eth7", "far0")
	cross()
	silent(t, "eth7")
}

func TestAHandedPortIsFoundByItsAddress(t *testing.T) {
	ethernettest.Namespace(t, "that a handed interface is found by its address")
	ethernettest.Cable(t, "near0", "far0")
	f, err := OpenReceiverFile(Port{Interface: "mac:02:00:00:00:00:01"}, quiet())
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	within(t, f, func() { silent(t, "near0") })
}

func TestWhatIsMissingIsRefusedWithWhatThereIs(t *testing.T) {
	ethernettest.Namespace(t, "that a missing interface is refused with a list")
	ethernettest.Cable(t, "near0", "far0")
	for _, name := range []string{"mac:02:00:00:00:00:09", "path:pci-0000:01:00.0", "nosuch0"} {
		if _, err := OpenReceiverFile(Port{Interface: name}, quiet()); err == nil ||
			!strings.Contains(err.Error(), "near0 (mac:02:00:00:00:00:01)") {
			t.Errorf("%s: got %v, want the interfaces that there are", name, err)
		}
	}
}

// fakeCard is a card as drivers make them.
type fakeCard struct {
	now      linkSettings
	up       bool
	onlyUp   bool // as bcmgenet
	forgets  bool // takes and does not keep
	dark     bool // knows no speed without a carrier, as e1000e
	energy   eeeParameters
	sets     int
	eeeError error
}

func (c *fakeCard) link() (linkSettings, error) {
	s := c.now
	if c.dark {
		s.speed, s.duplex = speedUnknown, duplexUnknown
	}
	return s, nil
}

func (c *fakeCard) setLink(s linkSettings) error {
	c.sets++
	switch {
	case c.onlyUp && !c.up:
		return unix.EINVAL
	case !c.forgets:
		c.now = s
	}
	return nil
}

func (c *fakeCard) eee() (eeeParameters, error) { return c.energy, c.eeeError }

func (c *fakeCard) setEEE(e eeeParameters) error {
	if !c.forgets {
		c.energy = e
	}
	return nil
}

// can returns settings with supported link modes.
func can(port uint8, bits ...int) linkSettings {
	s := linkSettings{autonegotiate: 1, speed: speedUnknown, duplex: duplexUnknown, port: port, words: 4}
	for _, b := range bits {
		s.masks[b/32] |= 1 << (b % 32)
	}
	return s
}

func TestSpeedsOfCardsThatDiffer(t *testing.T) {
	const fibre = 3
	copper := can(portTwisted, 0, 1, 2, 3, 5, 6, 7)
	for name, c := range map[string]struct {
		card  fakeCard
		speed int
		want  string // what holds in the end, or the error
		sets  int
	}{
		"as wanted":     {fakeCard{now: copper}, 100, "100 Mbit/s, full duplex, fixed", 1},
		"only while up": {fakeCard{now: copper, onlyUp: true}, 10, "10 Mbit/s, full duplex, fixed", 2},
		"dark": {fakeCard{now: copper, dark: true}, 100,
			"unknown speed (no carrier), unknown duplex, fixed", 1},
		"100BASE-FX alone": {fakeCard{now: can(fibre, 91)}, 100, "100 Mbit/s, full duplex, fixed", 1},
		"1000BASE-X":       {fakeCard{now: can(fibre, 41)}, 1000, "1000 Mbit/s, full duplex, fixed", 1},
		"says nothing":     {fakeCard{now: can(fibre)}, 2500, "2500 Mbit/s, full duplex, fixed", 1},
		"not among what it does": {fakeCard{now: copper}, 2500,
			"2500 Mbit/s full duplex is not among what it can do: 10, 100, 1000 Mbit/s", 0},
		"copper that negotiates": {fakeCard{now: copper}, 1000, "1000 Mbit/s on twisted pair cannot be fixed", 0},
		"takes and forgets": {fakeCard{now: copper, forgets: true}, 100,
			"the driver took 100 Mbit/s full duplex, but reads back unknown speed (no carrier), " +
				"unknown duplex, negotiated", 2},
		"none configured": {fakeCard{now: copper}, 0, "as found", 0},
	} {
		t.Run(name, func(t *testing.T) {
			s := fixedSpeed{mbits: c.speed, card: &c.card}
			err := s.fix()
			if err == nil {
				c.card.up = true
				err = s.confirm()
			}
			got := s.result()
			if err != nil {
				got = err.Error()
			}
			if !strings.HasPrefix(got, c.want) || c.card.sets != c.sets {
				t.Errorf("got %q after %d sets, want %q after %d", got, c.card.sets, c.want, c.sets)
			}
		})
	}
}

func TestEEEIsTurnedOff(t *testing.T) {
	on := eeeParameters{enabled: 1, transmitIdle: 1, advertised: 0x28, timer: 50}
	for name, c := range map[string]struct {
		card fakeCard
		want bool // an error
	}{
		"on":                  {fakeCard{energy: on}, false},
		"off":                 {fakeCard{}, false},
		"a driver without it": {fakeCard{energy: on, eeeError: unix.EOPNOTSUPP}, false},
		"no PHY while down":   {fakeCard{eeeError: unix.ENODEV}, true},
		"taken, and not kept": {fakeCard{energy: on, forgets: true}, true},
	} {
		t.Run(name, func(t *testing.T) {
			err := eeeOff(&c.card)
			if (err != nil) != c.want {
				t.Errorf("got %v, want an error: %t", err, c.want)
			}
			if left := c.card.energy; err == nil && c.card.eeeError == nil && left.enabled|left.transmitIdle != 0 {
				t.Errorf("left %+v, want it off", left)
			}
		})
	}
}
