package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"heliograph/ci/await"
	"heliograph/ci/rig"
	"heliograph/firmware/conduit/linktest"
)

// TestATopicClearedWhileAKilledReceiverWasDown has a topic of a moment ago: the
// next run must delete it.
func TestATopicClearedWhileAKilledReceiverWasDownGoesAway(t *testing.T) {
	t.Parallel()
	g, plant, it := newMQTT(t, linktest.Profile{}, "5")
	g.Start()
	g.Ready()
	client := client3(t, plant, "plant", "", nil)
	want := map[string]string{"plant/stays": "1"}
	wait3(t, client.Publish("plant/stays", 1, true, "1"))
	retained(t, it, "plant/#", want)
	for n := range 3 {
		topic := fmt.Sprintf("plant/goes/%d", n)
		var in inbox
		watcher := client3(t, it, fmt.Sprintf("watch-%d", n), topic, &in)
		wait3(t, client.Publish(topic, 1, true, "here"))
		await.NoError(t, "the topic at IT", func() error { return arrived(&in, "here") })
		g.RX.Kill()
		watcher.Disconnect(0)
		wait3(t, client.Publish(topic, 1, true, ""))
		time.Sleep(300 * time.Millisecond) // the deletion is sent while RX is down
		g.RX.Start()
		retained(t, it, "plant/#", want)
		g.Ready()
	}
}

// TestBothRolesOnAReadOnlyDisk starts both on a card that has turned read-only,
// twice, and lets the card recover.
func TestBothRolesOnAReadOnlyDisk(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		t.Skip("NOT PROVED: mounting a read-only file system takes root")
	}
	in, siem := await.FreePort(t), newCollector(t)
	tx, rx := syslogTables(in, siem.port)
	tx = strings.Replace(tx, "\"]\n", fmt.Sprintf("\", \"tls://127.0.0.1:%d\"]\n", await.FreePort(t)), 1)
	g := newGateway(t, linktest.Profile{}, tx, rx)
	remount := func(flags uintptr) {
		t.Helper()
		for _, role := range []string{"tx", "rx"} {
			if err := unix.Mount("", filepath.Join(g.Dir, "state-"+role), "", unix.MS_REMOUNT|flags, ""); err != nil {
				t.Fatal(err)
			}
		}
	}
	for _, role := range []string{"tx", "rx"} {
		state := filepath.Join(g.Dir, "state-"+role)
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
		g.Start()
		line := longLine(run)
		await.NoError(t, "the transmitter listens", func() error { return sendLines(in, []string{line}) })
		await.NoError(t, "a line", func() error {
			if got := siem.all(); len(got) == 0 || !strings.Contains(got[len(got)-1], line) {
				return fmt.Errorf("got %d lines", len(got))
			}
			return nil
		})
		if flags == 0 {
			g.Ready()
		} else {
			g.TX.Unready("state: ")
			g.RX.Unready("state: ")
			if n := g.RX.Notes("state_unwritable"); n != 1 {
				t.Errorf("run %d: got %d alarms, want one", run, n)
			}
		}
		if run == 3 {
			break
		}
		g.TX.Stop()
		g.RX.Stop()
	}
	remount(0)
	g.Ready()
	if n := g.RX.Notes("state_writable"); n != 1 {
		t.Errorf("after the card recovered: got %d notes, want one", n)
	}
}

// TestOldFramesDoNotUseUpAnAcceptance plays back all earlier epochs of a transmitter before, while and after
// its operator accepts its new one.
func TestOldFramesDoNotUseUpAnAcceptance(t *testing.T) {
	t.Parallel()
	g, in, siem := newSyslog(t)
	tap := g.tap()
	g.RX.Start()
	for range 3 {
		g.TX.Start()
		g.Ready()
		g.TX.Stop()
	}
	old := tap.frames()
	remove(t, filepath.Join(g.Dir, "state-tx"))
	tap.play(t, old)
	await.NoError(t, "the playback is audited", func() error {
		if g.RX.Notes("epoch_replayed") == 0 {
			return fmt.Errorf("it is not")
		}
		return nil
	})
	if shown := tool(t, "epoch", "show", "--config", g.RX.Config); !strings.Contains(shown, "no run is refused") {
		t.Errorf("after a playback alone, epoch show says %q", shown)
	}
	g.TX.Start()
	await.NoError(t, "the new run is refused", func() error {
		if shown := tool(t, "epoch", "show", "--config", g.RX.Config); !strings.Contains(shown, "refused, epoch 1,") {
			return fmt.Errorf("%s", shown)
		}
		return nil
	})
	g.TX.Stop() // the operator accepts while it is away
	tool(t, "epoch", "accept", "--config", g.RX.Config)
	tap.play(t, old)
	if got := g.RX.Status().Link.Epoch; got != 3 {
		t.Errorf("after a playback, with a run accepted: RX is at epoch %d, want 3", got)
	}
	g.TX.Start() // epoch 2: another run, to be accepted again
	await.NoError(t, "the next run is accepted", func() error {
		shown := tool(t, "epoch", "show", "--config", g.RX.Config)
		for line := range strings.Lines(shown) {
			if id, rest, _ := strings.Cut(line, " "); strings.Contains(rest, "refused, epoch 2,") {
				tool(t, "epoch", "accept", "--config", g.RX.Config, "--run", id)
				return nil
			}
		}
		return fmt.Errorf("%s", shown)
	})
	await.NoError(t, "the run is accepted", func() error {
		if got := g.RX.Status().Link.Epoch; got != 2 {
			return fmt.Errorf("epoch %d", got)
		}
		return nil
	})
	g.Ready()
	tap.play(t, old)
	if err := sendLines(in, []string{longLine(1)}); err != nil {
		t.Fatal(err)
	}
	siem.has(t, 1)
	if got := g.RX.Status().Link.Epoch; got != 2 {
		t.Errorf("at the end RX is at epoch %d, want 2", got)
	}
}

// TestTheKeyIsChangedWithoutALoss publishes events at QoS 1 all the while.
func TestTheKeyIsChangedWithoutALoss(t *testing.T) {
	t.Parallel()
	g, plant, _ := newMQTT(t, linktest.Profile{}, "5")
	g.Start()
	g.Ready()
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
		if got := tool(t, "key", "show", "--config", config); !strings.Contains(got, what) {
			t.Errorf("key show: got %q, want %q in it", got, what)
		}
	}
	next := filepath.Join(g.Dir, "next.key")
	tool(t, "key", "new", next)
	tool(t, "key", "change", "--config", g.RX.Config, "--for", "1m", next)
	shown(g.RX.Config, "accepted too until")
	await.NoError(t, "RX accepts both", func() error {
		if g.RX.Notes("pair_key_added") == 0 {
			return fmt.Errorf("not yet")
		}
		return nil
	})
	tool(t, "key", "change", "--config", g.TX.Config, next)
	g.TX.Stop()
	g.TX.Start()
	await.NoError(t, "RX receives frames of the new key", func() error {
		if g.RX.Notes("pair_key_changed") == 0 {
			return fmt.Errorf("not yet")
		}
		return nil
	})
	await.NoError(t, "the old key has ended", func() error {
		if g.RX.Notes("pair_key_ended") == 0 {
			return fmt.Errorf("not yet")
		}
		return nil
	})
	g.Ready()
	close(stop)
	<-ended
	all := func() error { // more when the plant's broker repeats what TX has not acknowledged
		a, err := g.account("cell-1")
		if err != nil || a.Sent < uint64(published) || a.Delivered != a.Sent {
			return fmt.Errorf("of %d published: %s %v", published, a, err)
		}
		return nil
	}
	await.NoError(t, "everything", all)
	g.RX.Stop()
	rig.Write(t, filepath.Join(g.Dir, "pair.key"), rig.Read(t, next))
	g.RX.Start()
	g.Ready()
	await.NoError(t, "everything, when the key file has the new key too", all)
	if first, lost := g.RX.Notes("epoch_first"), g.RX.Notes("epoch_unanchored"); first != 1 || lost != 0 {
		t.Errorf("%d first epochs and %d without an anchor, want the first start alone", first, lost)
	}
}

// TestRecordsThatAFullDiskDidNotTakeAreAccountedFor ends RX while IT's broker is away and its disk is full: what
// waited in memory alone is gone, and must not stay delivered. After a kill it heals: TX still has it.
func TestRecordsThatAFullDiskDidNotTakeAreAccountedFor(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		t.Skip("NOT PROVED: mounting a small file system takes root")
	}
	const before, waiting, after = 20, 3000, 10
	for name, kill := range map[string]bool{"RX ended": false, "RX killed": true} {
		t.Run(name, func(t *testing.T) {
			plant, it := await.FreePort(t), await.FreePort(t)
			rig.Mosquitto(t, plant, rig.Unlimited)
			broker := rig.Mosquitto(t, it, rig.Unlimited)
			tx, rx := mqttTables(plant, it, "5")
			g := newGateway(t, linktest.Profile{}, tx, rx)
			state := filepath.Join(g.Dir, "state-rx")
			if err := os.Mkdir(state, 0o700); err != nil {
				t.Fatal(err)
			}
			if err := unix.Mount("tmpfs", state, "tmpfs", 0, "size=2m"); err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = unix.Unmount(state, unix.MNT_DETACH) })
			var in inbox
			client5(t, it, "it", "plant/#", &in)
			g.Start()
			g.Ready()
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
			await.NoError(t, "what the broker takes", newest)
			time.Sleep(2 * time.Second) // longer than the account takes to follow: its file has all of its size now
			broker.Kill()
			full := filepath.Join(state, "full")
			if err := os.WriteFile(full, make([]byte, 2<<20), 0o600); err == nil {
				t.Fatal("the disk is not full")
			}
			publish(waiting)
			g.settled("cell-1", before+waiting)
			time.Sleep(2 * time.Second) // as above
			if kill {
				g.RX.Kill()
			} else {
				g.RX.Stop()
			}
			remove(t, full)
			rig.Mosquitto(t, it, rig.Unlimited)
			client5(t, it, "it-again", "plant/#", &in)
			client5(t, it, "it-late", "late/plant/#", &in)
			g.RX.Start()
			g.Ready()
			publish(after)
			await.NoError(t, "what is published last", newest)
			a := g.settled("cell-1", before+waiting+after)
			if kill {
				await.NoError(t, "what waited in memory heals", func() error {
					if a = g.settled("cell-1", before+waiting+after); a.OpenHoles > 0 || a.Healed == 0 {
						return fmt.Errorf("%s, %d healed, %d open holes", a, a.Healed, a.OpenHoles)
					}
					return nil
				})
				newest := fmt.Sprint(before + waiting - 1)
				await.NoError(t, "the newest of it", func() error { return arrived(&in, newest) })
			}
			got := map[string]bool{}
			for _, payload := range payloads(in.all()) {
				got[payload] = true
			}
			if a.Delivered > uint64(len(got)) || a.Lost > 0 {
				t.Errorf("%d arrived, got %s", len(got), a)
			}
			if missing := uint64(published - len(got)); !kill && (a.Expired != missing || a.Unknown > 0) || kill &&
				a.Unknown < missing {
				t.Errorf("%d of %d are missing, got %s", missing, published, a)
			}
		})
	}
}
