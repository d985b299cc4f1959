package e2e

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"heliograph/firmware/conduit/linktest"
)

// TestATopicClearedWhileAKilledReceiverWasDown has a topic of a moment ago: the
// next run must know that it is to be missed.
func TestATopicClearedWhileAKilledReceiverWasDownGoesAway(t *testing.T) {
	plant, it := port(t), port(t)
	mosquitto(t, plant)
	mosquitto(t, it)
	tx, rx := mqttTables(plant, it, "5")
	g := newGateway(t, linktest.Profile{}, tx, rx)
	g.startRX()
	g.startTX()
	g.ready()
	client := client3(t, plant, "plant", "", nil)
	want := map[string]string{"plant/stays": "1"}
	wait3(t, client.Publish("plant/stays", 1, true, "1"))
	retained(t, it, "plant/#", want)
	for n := range 3 {
		topic := fmt.Sprintf("plant/goes/%d", n)
		var in inbox
		watcher := client3(t, it, fmt.Sprintf("watch-%d", n), topic, &in)
		wait3(t, client.Publish(topic, 1, true, "here"))
		eventually(t, "the topic at IT", func() error { return arrived(&in, "here") })
		g.rx.kill()
		watcher.Disconnect(0)
		wait3(t, client.Publish(topic, 1, true, ""))
		time.Sleep(300 * time.Millisecond) // the deletion is sent while RX is down
		g.startRX()
		retained(t, it, "plant/#", want)
		g.ready()
	}
}

func notesOf(t *testing.T, port int, event string) (n int) {
	t.Helper()
	for _, note := range statusOf(t, port).Notes {
		if note.Event == event {
			n++
		}
	}
	return n
}

// TestBothRolesOnAReadOnlyDisk starts both on a card that has turned read-only,
// twice, and lets the card recover.
func TestBothRolesOnAReadOnlyDisk(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("NOT PROVED: mounting a read-only file system takes root")
	}
	in, out := port(t), port(t)
	g := newGateway(t, linktest.Profile{},
		fmt.Sprintf("[[syslog]]\nchannel = \"syslog\"\nlisten = [\"tcp://127.0.0.1:%d\", \"tls://127.0.0.1:%d\"]\n", in, port(t)),
		fmt.Sprintf("[[syslog]]\nchannel = \"syslog\"\nforward = \"tcp://127.0.0.1:%d\"\n", out))
	var siem collector
	siem.listen(t, out)
	remount := func(flags uintptr) {
		t.Helper()
		for _, role := range []string{"tx", "rx"} {
			if err := unix.Mount("", filepath.Join(g.dir, "state-"+role), "", unix.MS_REMOUNT|flags, ""); err != nil {
				t.Fatal(err)
			}
		}
	}
	for _, role := range []string{"tx", "rx"} {
		state := filepath.Join(g.dir, "state-"+role)
		if err := os.Mkdir(state, 0o700); err != nil {
			t.Fatal(err)
		}
		if err := unix.Mount("tmpfs", state, "tmpfs", 0, "size=16m"); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = unix.Unmount(state, unix.MNT_DETACH) })
	}
	for run, flags := range []uintptr{unix.MS_RDONLY, 0, unix.MS_RDONLY, unix.MS_RDONLY} {
		remount(flags)
		g.startRX()
		g.startTX()
		line := longLine(run)
		eventually(t, "the transmitter listens", func() error { return sendLines(in, []string{line}) })
		eventually(t, "a line", func() error {
			if got := siem.all(); len(got) == 0 || !strings.Contains(got[len(got)-1], line) {
				return fmt.Errorf("got %d lines", len(got))
			}
			return nil
		})
		if flags == 0 {
			g.ready()
		} else {
			for _, port := range []int{g.txStatus, g.rxStatus} {
				eventually(t, "/readyz says so", func() error {
					body, code, err := get(port, "/readyz")
					if err != nil || code != http.StatusServiceUnavailable || !strings.Contains(body, "state: ") {
						return fmt.Errorf("%d %s %v", code, body, err)
					}
					return nil
				})
			}
			if n := notesOf(t, g.rxStatus, "state_unwritable"); n != 1 {
				t.Errorf("run %d: got %d alarms, want one", run, n)
			}
		}
		if run == 3 {
			break
		}
		for _, p := range []*process{g.tx, g.rx} {
			p.stop()
		}
	}
	remount(0)
	g.ready()
	if n := notesOf(t, g.rxStatus, "state_writable"); n != 1 {
		t.Errorf("after the card recovered: got %d notes, want one", n)
	}
}

// TestOldFramesDoNotUseUpAnAcceptance plays back all earlier epochs of a transmitter before, while and after
// its operator accepts its new one.
func TestOldFramesDoNotUseUpAnAcceptance(t *testing.T) {
	in, out := port(t), port(t)
	g := newGateway(t, linktest.Profile{},
		fmt.Sprintf("[[syslog]]\nchannel = \"syslog\"\nlisten = [\"tcp://127.0.0.1:%d\"]\n", in),
		fmt.Sprintf("[[syslog]]\nchannel = \"syslog\"\nforward = \"tcp://127.0.0.1:%d\"\n", out))
	var siem collector
	siem.listen(t, out)
	tap := g.tap()
	g.startRX()
	for range 3 {
		g.startTX()
		g.ready()
		g.tx.stop()
	}
	old := tap.frames()
	remove(t, filepath.Join(g.dir, "state-tx"))
	tap.play(t, old)
	eventually(t, "the playback is audited", func() error {
		if notesOf(t, g.rxStatus, "epoch_replayed") == 0 {
			return fmt.Errorf("it is not")
		}
		return nil
	})
	if shown := g.tool("epoch", "show", "--config", g.rxConf); !strings.Contains(shown, "no run is refused") {
		t.Errorf("after a playback alone, epoch show says %q", shown)
	}
	g.startTX()
	eventually(t, "the new run is refused", func() error {
		if shown := g.tool("epoch", "show", "--config", g.rxConf); !strings.Contains(shown, "refused, epoch 1,") {
			return fmt.Errorf("%s", shown)
		}
		return nil
	})
	g.tx.stop() // the operator accepts while it is away
	g.tool("epoch", "accept", "--config", g.rxConf)
	tap.play(t, old)
	if got := statusOf(t, g.rxStatus).Link.Epoch; got != 3 {
		t.Errorf("after a playback, with a run accepted: RX is at epoch %d, want 3", got)
	}
	g.startTX() // epoch 2: another run, to be accepted again
	eventually(t, "the next run is accepted", func() error {
		shown := g.tool("epoch", "show", "--config", g.rxConf)
		for line := range strings.Lines(shown) {
			if id, rest, _ := strings.Cut(line, " "); strings.Contains(rest, "refused, epoch 2,") {
				g.tool("epoch", "accept", "--config", g.rxConf, "--run", id)
				return nil
			}
		}
		return fmt.Errorf("%s", shown)
	})
	eventually(t, "the run is believed", func() error {
		if got := statusOf(t, g.rxStatus).Link.Epoch; got != 2 {
			return fmt.Errorf("epoch %d", got)
		}
		return nil
	})
	g.ready()
	tap.play(t, old)
	if err := sendLines(in, []string{longLine(1)}); err != nil {
		t.Fatal(err)
	}
	eventually(t, "a line", func() error {
		if len(siem.all()) == 0 {
			return fmt.Errorf("none")
		}
		return nil
	})
	if got := statusOf(t, g.rxStatus).Link.Epoch; got != 2 {
		t.Errorf("at the end RX is at epoch %d, want 2", got)
	}
}

// TestTheKeyIsChangedWithoutALoss publishes events at QoS 1 all the while.
func TestTheKeyIsChangedWithoutALoss(t *testing.T) {
	plant, it := port(t), port(t)
	mosquitto(t, plant)
	mosquitto(t, it)
	tx, rx := mqttTables(plant, it, "5")
	g := newGateway(t, linktest.Profile{}, tx, rx)
	g.startRX()
	g.startTX()
	g.ready()
	client := client5(t, plant, "plant", "", nil)
	published, stop := 0, make(chan struct{})
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for {
			select {
			case <-stop:
				return
			case <-time.After(5 * time.Millisecond):
				publish5(t, client, message{"plant/a", fmt.Sprint(published), 1, false})
				published++
			}
		}
	}()
	shown := func(config, what string) {
		t.Helper()
		if got := g.tool("key", "show", "--config", config); !strings.Contains(got, what) {
			t.Errorf("key show: got %q, want %q in it", got, what)
		}
	}
	next := filepath.Join(g.dir, "next.key")
	g.tool("key", "new", next)
	g.tool("key", "change", "--config", g.rxConf, "--for", "25s", next)
	shown(g.rxConf, "accepted too until")
	eventually(t, "RX accepts both", func() error {
		if notesOf(t, g.rxStatus, "pair_key_added") == 0 {
			return fmt.Errorf("not yet")
		}
		return nil
	})
	g.tool("key", "change", "--config", g.txConf, next)
	g.tx.stop()
	g.startTX()
	eventually(t, "RX hears the new key", func() error {
		if notesOf(t, g.rxStatus, "pair_key_changed") == 0 {
			return fmt.Errorf("not yet")
		}
		return nil
	})
	eventually(t, "the old key has ended", func() error {
		if notesOf(t, g.rxStatus, "pair_key_ended") == 0 {
			return fmt.Errorf("not yet")
		}
		return nil
	})
	g.ready()
	close(stop)
	<-ended
	all := func() error { // more when the plant's broker repeats what TX has not acknowledged
		a, err := g.account("cell-1")
		if err != nil || a.Sent < uint64(published) || a.Delivered != a.Sent {
			return fmt.Errorf("of %d published: %s %v", published, a, err)
		}
		return nil
	}
	eventually(t, "everything", all)
	g.rx.stop()
	mustWrite(t, filepath.Join(g.dir, "pair.key"), mustRead(t, next))
	g.startRX()
	g.ready()
	eventually(t, "everything, when the key file has the new key too", all)
	if n := notesOf(t, g.rxStatus, "epoch_unanchored"); n != 1 {
		t.Errorf("%d starts without an anchor, want the first alone", n)
	}
}

// TestRecordsThatAFullDiskDidNotTakeAreAccountedFor ends RX while IT's broker is away and its disk is full: what
// waited in memory alone is gone, and must not stay delivered.
func TestRecordsThatAFullDiskDidNotTakeAreAccountedFor(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("NOT PROVED: mounting a small file system takes root")
	}
	const before, waiting, after = 20, 3000, 10
	for name, kill := range map[string]bool{"RX ended": false, "RX killed": true} {
		t.Run(name, func(t *testing.T) {
			plant, it := port(t), port(t)
			mosquitto(t, plant)
			broker := mosquitto(t, it)
			tx, rx := mqttTables(plant, it, "5")
			g := newGateway(t, linktest.Profile{}, tx, rx)
			state := filepath.Join(g.dir, "state-rx")
			if err := os.Mkdir(state, 0o700); err != nil {
				t.Fatal(err)
			}
			if err := unix.Mount("tmpfs", state, "tmpfs", 0, "size=2m"); err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = unix.Unmount(state, unix.MNT_DETACH) })
			var in inbox
			client5(t, it, "it", "plant/#", &in)
			g.startRX()
			g.startTX()
			g.ready()
			client := client5(t, plant, "plant", "", nil)
			published := 0
			publish := func(n int) {
				for range n {
					publish5(t, client, message{"plant/a", fmt.Sprint(published), 1, false})
					published++
				}
			}
			newest := func() error { return arrived(&in, fmt.Sprint(published-1)) }
			publish(before)
			eventually(t, "what the broker takes", newest)
			time.Sleep(2 * time.Second) // longer than the account takes to follow: its file has all of its size now
			broker.kill()
			full := filepath.Join(state, "full")
			if err := os.WriteFile(full, make([]byte, 2<<20), 0o600); err == nil {
				t.Fatal("the disk is not full")
			}
			publish(waiting)
			g.settled("cell-1", before+waiting)
			time.Sleep(2 * time.Second) // as above
			if kill {
				g.rx.kill()
			} else {
				g.rx.stop()
			}
			remove(t, full)
			mosquitto(t, it)
			client5(t, it, "it-again", "plant/#", &in)
			g.startRX()
			g.ready()
			publish(after)
			eventually(t, "what is published last", newest)
			a := g.settled("cell-1", before+waiting+after)
			got := map[string]bool{}
			for _, payload := range payloads(in.all()) {
				got[payload] = true
			}
			if a.Delivered > uint64(len(got)) || a.Lost > 0 {
				t.Errorf("%d arrived, got %s", len(got), a)
			}
			if missing := uint64(published - len(got)); !kill && (a.Expired != missing || a.Unknown > 0) || kill && a.Unknown < missing {
				t.Errorf("%d of %d are missing, got %s", missing, published, a)
			}
		})
	}
}
