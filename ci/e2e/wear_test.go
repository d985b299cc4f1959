//go:build wear

package e2e

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"heliograph/ci/await"
	"heliograph/ci/rig"
	"heliograph/firmware/conduit/linktest"
)

// What a card may be written: 200 MB a day leave a card of 8 GB, whose cells
// endure some 1,000 writes and whose controller writes several times what it is
// given, more than ten years.
const wearBudget = 200 << 20 // bytes a day

// card is an ext4 file system on a loop device, mounted as a board mounts its data partition (rootfs/init/mount.go).
type card struct {
	t      *testing.T
	device string
}

func newCard(t *testing.T, at string) card {
	t.Helper()
	image := filepath.Join(t.TempDir(), "card.img")
	rig.Write(t, image, nil)
	if err := os.Truncate(image, 124<<20); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("mkfs.ext4", "-q", image).CombinedOutput(); err != nil {
		t.Skipf("NOT MEASURED: mkfs.ext4: %v %s", err, out)
	}
	out, err := exec.Command("losetup", "--find", "--show", image).Output()
	if err != nil {
		t.Skipf("NOT MEASURED: losetup: %v", err)
	}
	device := strings.TrimSpace(string(out))
	t.Cleanup(func() { _ = exec.Command("losetup", "--detach", device).Run() })
	if err := os.MkdirAll(at, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := unix.Mount(device, at, "ext4", unix.MS_NOATIME|unix.MS_LAZYTIME, ""); err != nil {
		t.Skipf("NOT MEASURED: mounting %s: %v", device, err)
	}
	t.Cleanup(func() { _ = unix.Unmount(at, unix.MNT_DETACH) })
	return card{t, filepath.Base(device)}
}

// written returns the bytes and the writes that the device has had (Linux, Documentation/block/stat.rst).
func (c card) written() (bytes, writes uint64) {
	c.t.Helper()
	f := strings.Fields(string(rig.Read(c.t, filepath.Join("/sys/block", c.device, "stat"))))
	writes, _ = strconv.ParseUint(f[4], 10, 64)
	sectors, err := strconv.ParseUint(f[6], 10, 64)
	if err != nil {
		c.t.Fatal(err)
	}
	return sectors * 512, writes
}

// TestCardWear measures what both roles write to their cards at 100 changes a
// second on five channels. It takes HELIOGRAPH_WEAR, 3m say, and root: make wear.
func TestCardWear(t *testing.T) {
	span, err := time.ParseDuration(os.Getenv("HELIOGRAPH_WEAR"))
	if err != nil || os.Geteuid() != 0 {
		t.Skip("NOT MEASURED: make wear measures it, as root")
	}
	plant, it := await.FreePort(t), await.FreePort(t)
	rig.Mosquitto(t, plant, rig.Unlimited)
	rig.Mosquitto(t, it, rig.Unlimited)
	var tx, rx string
	for i := range 5 {
		name := fmt.Sprintf("press-line-%d", i)
		tx += fmt.Sprintf("[[mqtt]]\nchannel = %q\nbroker = \"mqtt://127.0.0.1:%d\"\ntopics = [\"%d/#\"]\n", name,
			plant, i)
		rx += fmt.Sprintf("[[mqtt]]\nchannel = %q\nbroker = \"mqtt://127.0.0.1:%d\"\n", name, it)
	}
	g := newGateway(t, linktest.Profile{}, tx, rx)
	cards := map[string]card{}
	for _, role := range []string{"tx", "rx"} {
		cards[role] = newCard(t, filepath.Join(g.Dir, "state-"+role))
	}
	g.Start()
	g.Ready()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	client := client3(t, plant, "plant", "", nil)
	go func() {
		tick := time.NewTicker(10 * time.Millisecond)
		defer tick.Stop()
		for n := 0; ; n++ {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
				client.Publish(fmt.Sprintf("%d/machine/%d", n%5, n%100), 1, true, fmt.Sprint(n))
			}
		}
	}()
	time.Sleep(30 * time.Second) // what the start has written is on the card
	unix.Sync()
	type figure struct{ bytes, writes uint64 }
	before := map[string]figure{}
	for role, c := range cards {
		bytes, writes := c.written()
		before[role] = figure{bytes, writes}
	}
	start := time.Now()
	sent := g.TX.Status().Channels["press-line-0"].Sent
	time.Sleep(span)
	unix.Sync() // what waits in the page cache counts
	days := time.Since(start).Hours() / 24
	rate := float64(5*(g.TX.Status().Channels["press-line-0"].Sent-sent)) / time.Since(start).Seconds()
	for role, c := range cards {
		bytes, writes := c.written()
		perDay := float64(bytes-before[role].bytes) / days
		t.Logf("%s: %.0f MB and %.0f writes a day at %.0f changes a second", role, perDay/1e6,
			float64(writes-before[role].writes)/days, rate)
		if perDay > wearBudget {
			t.Errorf("%s: %.0f MB a day are more than the %d of the budget", role, perDay/1e6, wearBudget>>20)
		}
	}
	if rate < 80 {
		t.Errorf("only %.0f changes a second: the machine is too busy to measure", rate)
	}
}
