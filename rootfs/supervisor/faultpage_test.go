package supervisor

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"heliograph/firmware/platform/handover"
	"heliograph/firmware/platform/health"
)

const faulty = "colour = 1\n" + validTX

func TestFaultsAreShownWhereTheStatusIs(t *testing.T) {
	const page = "\n[status]\nlisten = "
	for _, tt := range []struct {
		name, configuration string
		listen              string // "" for no page
		ports               []uint16
	}{
		{"as configured", faulty + page + "\"10.0.0.2:8080\"\n", "10.0.0.2:8080", []uint16{8080}},
		{"as configured, for a status over TLS", faulty + page + "\"https://0.0.0.0:443\"\n", "0.0.0.0:443",
			[]uint16{443}},
		{"of a Windows editor", "\uFEFF" + strings.ReplaceAll(faulty+page+"\":8080\"\n", "\n", "\r\n"), ":8080",
			[]uint16{8080}},
		{"no status wanted", faulty, "", nil},
		{"status turned off", faulty + page + "\"\"\n", "", nil},
		{"an address that is none", faulty + page + "\"here\"\n", defaultPage, []uint16{9464}},
		{"an address of another type", faulty + page + "9464\n", defaultPage, []uint16{9464}},
		{"not TOML", "!\n" + faulty, defaultPage, []uint16{9464}},
		{"empty", "", "", nil},
		{"no file", missing, defaultPage, []uint16{9464}},
		{"no folder", nowhere, defaultPage, []uint16{9464}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t, "tx", tt.configuration)
				r.takeAway(t, tt.configuration)
				stop := r.background(t, Outputs{})
				defer stop()
				pass(5 * time.Second)
				if v, _ := r.Vitals.Current(); v.State != health.Invalid || len(v.Pattern) != 12 {
					t.Errorf("got %s with %d times of the LED; want %s, 6 flashes", v.State, len(v.Pattern),
						health.Invalid)
				}
				if tt.listen == "" {
					if len(r.started()) > 0 {
						t.Errorf("got a process %+v, want none", r.started()[0])
					}
					return
				}
				if len(r.started()) != 1 {
					t.Fatalf("got %d processes, want one; the log:\n%s", len(r.started()), r.log.String())
				}
				s := r.started()[0]
				if !slices.Equal(s.Bind, tt.ports) || len(s.Connect) > 0 || s.Keys != nil || len(s.Arguments) > 0 {
					t.Errorf("got the sandbox %+v", s)
				}
				if got := r.refusal(t); got.Listen != tt.listen || !slices.Equal(got.Faults, r.Faults()) ||
					len(got.Faults) == 0 {
					t.Errorf("got %+v, want %s and the faults %q", got, tt.listen, r.Faults())
				}
			})
		})
	}
}

// What takeAway does instead of leaving a configuration.
const missing, nowhere = "no file", "no folder"

func (r *rig) takeAway(t *testing.T, what string) {
	t.Helper()
	name := filepath.Join(r.Folders.Card, configurationFile)
	if what == nowhere {
		name = r.Folders.Card
	}
	if what != missing && what != nowhere {
		return
	}
	if err := os.RemoveAll(name); err != nil {
		t.Fatal(err)
	}
}

// refusal reads what the newest process is to show.
func (r *rig) refusal(t *testing.T) (got handover.Refusal) {
	t.Helper()
	for _, e := range r.started()[len(r.started())-1].Environment {
		if name, found := strings.CutPrefix(e, handover.Refused+"="); found {
			b, err := os.ReadFile(name)
			if err == nil {
				err = json.Unmarshal(b, &got)
			}
			if err != nil {
				t.Fatal(err)
			}
		}
	}
	return got
}

func TestThePageHasNothingSecret(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, "tx", "!\n"+validTX)
		stop := r.background(t, Outputs{})
		defer stop()
		pass(time.Second)
		s := r.started()[0]
		for _, secret := range []string{r.Folders.Home, r.Folders.State, r.Folders.Keys, r.Folders.Card} {
			for _, granted := range append([]string{s.State}, s.Read...) {
				if strings.HasPrefix(secret+"/", granted+"/") || strings.HasPrefix(granted+"/", secret+"/") {
					t.Errorf("the process may use %s", granted)
				}
			}
		}
		info, err := s.Link.Stat() // it is closed after the start
		if err == nil {
			t.Errorf("the link %v was not closed", info.Name())
		}
		text := strings.Join(r.Faults(), "\n")
		if strings.Contains(text, r.Folders.Home) || !strings.HasPrefix(text, "heliograph.toml:1: ") {
			t.Errorf("got the faults %q, want them as the card's files are called", text)
		}
	})
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, "tx", validTX+"[[mqtt]]\nchannel = \"m\"\nbroker = \"mqtt://ot:s3cret@10.0.0.6\"\n"+
			"[status]\nlisten = \":9464\"\n")
		stop := r.background(t, Outputs{})
		defer stop()
		pass(time.Second)
		if text := strings.Join(r.Faults(), "\n"); text == "" || strings.Contains(text+r.log.String(), "s3cret") {
			t.Errorf("got the faults %q", text)
		}
	})
}

func TestAPageThatEndsIsStartedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, "tx", "!\n"+validTX)
		r.play = func(p *process) { p.exit(errors.New("exit status 1")) } // no address yet
		stop := r.background(t, Outputs{})
		defer stop()
		pass(lastRestart / 2)
		if len(r.started()) != 1 {
			t.Fatalf("got %d processes, want one", len(r.started()))
		}
		pass(3 * lastRestart)
		if len(r.started()) != 4 {
			t.Errorf("got %d processes, want another each time", len(r.started()))
		}
		r.log.expect(t, "configuration refused", 1)
	})
}
