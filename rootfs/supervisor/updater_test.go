package supervisor

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"aead.dev/minisign"

	"heliograph/firmware/platform/health"
	"heliograph/firmware/platform/release"
	"heliograph/firmware/platform/report"
	"heliograph/rootfs/update"
)

// fakeCard notes what is done to it.
type fakeCard struct {
	commits, refusals int
	installed         []string
	fault             error
}

func (c *fakeCard) Commit() error { c.commits++; return c.fault }
func (c *fakeCard) Refuse() error { c.refusals++; return c.fault }

func (c *fakeCard) Install(file io.ReadSeeker, _ minisign.PublicKey, t update.Target) (release.Manifest, error) {
	b, err := io.ReadAll(file)
	if err != nil {
		return release.Manifest{}, err
	}
	if c.fault == nil {
		c.installed = append(c.installed, string(b))
	}
	return release.Manifest{Version: 8, Name: "v8", Role: t.Role}, c.fault
}

// bench is an updater with a fake card, and a role that works or does not.
type bench struct {
	Updater
	card     fakeCard
	log      lines
	restarts int
}

func newBench(t *testing.T) *bench {
	t.Helper()
	folder := t.TempDir()
	public, _, err := minisign.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	key, err := public.MarshalText()
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(folder, "key.pub"), key, 0o600); err != nil {
		t.Fatal(err)
	}
	b := &bench{}
	b.Updater = Updater{
		Log: b.log.logger(), Card: &b.card, Target: update.Target{Role: "tx", Board: "cm4"},
		Vitals: NewVitals(b.log.logger()),
		Status: newStatus(folder), Incoming: filepath.Join(folder, "incoming"),
		KeyFile: filepath.Join(folder, "key.pub"),
		Restart: func() { b.restarts++ },
	}
	return b
}

// follow runs the updater for so long, while the role works or never starts.
func (b *bench) follow(t *testing.T, long time.Duration, works bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), long)
	defer cancel()
	go b.Vitals.Run(ctx, Outputs{})
	if works {
		go func() {
			for n := uint64(1); ctx.Err() == nil; n++ {
				b.Vitals.accept(report.Report{Evidence: health.Evidence{Steps: map[string]uint64{"link": n}}})
				time.Sleep(time.Second)
			}
		}()
	}
	b.Run(ctx)
	<-ctx.Done()
	synctest.Wait()
	time.Sleep(time.Second) // for the role to end
}

func (b *bench) outcome(t *testing.T) release.Outcome {
	t.Helper()
	s, err := release.ReadState(b.Status.stateFile)
	if err != nil || s.Update == nil {
		t.Fatalf("no outcome: %+v, %v", s, err)
	}
	return *s.Update
}

func TestReleaseThatWorksIsKept(t *testing.T) {
	for name, onTrial := range map[string]bool{"on trial": true, "kept before": false} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newBench(t)
				b.OnTrial = onTrial
				b.follow(t, 10*time.Minute, true)
				if b.card.commits != 1 || b.card.refusals != 0 || b.restarts != 0 {
					t.Errorf("got %d commits, %d refusals, %d restarts; want one commit", b.card.commits,
						b.card.refusals, b.restarts)
				}
				if onTrial {
					if got := b.outcome(t); got.Result != release.Kept {
						t.Errorf("got the outcome %+v", got)
					}
				}
			})
		})
	}
}

func TestReleaseThatDoesNotWorkIsRolledBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		b.OnTrial = true
		b.follow(t, 10*time.Minute, false)
		if b.card.commits != 0 || b.card.refusals != 1 || b.restarts != 1 {
			t.Errorf("got %d commits, %d refusals, %d restarts; want a refusal and a restart", b.card.commits,
				b.card.refusals, b.restarts)
		}
		if got := b.outcome(t); got.Result != release.RolledBack || !strings.Contains(got.Reason, "STUCK") {
			t.Errorf("got the outcome %+v", got)
		}
		b.log.expect(t, "update rolled back", 1)
	})
}

func TestReleaseThatIsNotOnTrialIsNeverRolledBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		b.follow(t, time.Hour, false)
		if b.card.refusals != 0 || b.restarts != 0 {
			t.Errorf("got %d refusals, %d restarts, want none", b.card.refusals, b.restarts)
		}
	})
}

func TestUpdateThatArrivesIsInstalled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		if err := os.WriteFile(b.Incoming, []byte("release 8"), 0o600); err != nil {
			t.Fatal(err)
		}
		b.follow(t, 5*time.Second, true)
		if len(b.card.installed) != 1 || b.card.installed[0] != "release 8" || b.restarts != 1 {
			t.Errorf("got %q installed and %d restarts", b.card.installed, b.restarts)
		}
		if got := b.outcome(t); got.Result != release.Installed || got.Version != 8 {
			t.Errorf("got the outcome %+v", got)
		}
		if _, err := os.Stat(b.Incoming); err == nil {
			t.Error("the update waits to be installed again")
		}
	})
}

func TestUpdateThatIsRefused(t *testing.T) {
	for name, tt := range map[string]struct {
		prepare func(*bench) error
		reason  string // of the outcome; "": there is none
	}{
		"by the card": {func(b *bench) error {
			b.card.fault = errors.New("older than what runs")
			return os.WriteFile(b.Incoming, nil, 0o600)
		}, "older than what runs"},
		"without a key": {func(b *bench) error {
			b.KeyFile += ".missing"
			return os.WriteFile(b.Incoming, nil, 0o600)
		}, "public key"},
		"a link":   {func(b *bench) error { return os.Symlink("/etc/passwd", b.Incoming) }, ""},
		"a folder": {func(b *bench) error { return os.Mkdir(b.Incoming, 0o700) }, ""},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newBench(t)
				if err := tt.prepare(b); err != nil {
					t.Fatal(err)
				}
				b.follow(t, 5*time.Second, true)
				if len(b.card.installed) != 0 || b.restarts != 0 {
					t.Errorf("got %q installed and %d restarts, want none", b.card.installed, b.restarts)
				}
				if _, err := os.Lstat(b.Incoming); err == nil {
					t.Error("what was refused is still there")
				}
				if tt.reason == "" {
					if got := b.Status.Current().Update; got != nil {
						t.Errorf("got the outcome %+v, want none", *got)
					}
				} else if got := b.outcome(t); got.Result != release.Refused ||
					!strings.Contains(got.Reason, tt.reason) {
					t.Errorf("got the outcome %+v, want %q in it", got, tt.reason)
				}
			})
		})
	}
}

func TestCardThatFailsIsLogged(t *testing.T) {
	for name, works := range map[string]bool{"release not kept": true, "rollback not recorded": false} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newBench(t)
				b.OnTrial, b.card.fault = true, errors.New("input/output error")
				b.follow(t, 10*time.Minute, works)
				b.log.expect(t, name, 1)
			})
		})
	}
}
