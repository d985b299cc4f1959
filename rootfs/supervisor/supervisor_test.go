package supervisor

import (
	"errors"
	"io"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"heliograph/boards"
	"heliograph/boards/fit"
	"heliograph/firmware/config"
	"heliograph/firmware/platform/health"
	"heliograph/rootfs/sandbox"
)

func TestRoleRunsInItsSandbox(t *testing.T) {
	for role, want := range map[string]struct {
		configuration string
		direction     sandbox.Direction
		bind, connect []uint16
	}{
		"tx": {validTX, sandbox.Transmit, []uint16{601}, []uint16{53}},
		"rx": {validRX, sandbox.Receive, nil, []uint16{53, 601}},
	} {
		t.Run(role, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t, role, want.configuration)
				stop := r.background(t, Outputs{})
				pass(10 * time.Second)
				if v, newest := r.Vitals.Current(); v.State != health.Good || newest.Evidence.Steps["link"] < 5 {
					t.Errorf("got %s: %s, and report %+v; want a role that works", v.State, v.Reason, newest)
				}
				stop()
				if len(r.specs) != 1 {
					t.Fatalf("got %d starts, want one", len(r.specs))
				}
				s := r.specs[0]
				if s.Program != "/bin/helio"+role || s.Direction != want.direction || s.State != r.Folders.State ||
					s.Link == nil || s.Keys == nil {
					t.Errorf("got the sandbox %+v", s)
				}
				if !slices.Equal(s.Bind, want.bind) || !slices.Equal(s.Connect, want.connect) {
					t.Errorf("got ports %v and %v, want %v and %v", s.Bind, s.Connect, want.bind, want.connect)
				}
				environment := strings.Join(s.Environment, " ")
				for _, setting := range []string{"HELIOGRAPH_LINK_FD=3", "HELIOGRAPH_KEY_FD=4", "HELIOGRAPH_REPORT=1"} {
					if !strings.Contains(environment, setting) {
						t.Errorf("environment %q has no %s", environment, setting)
					}
				}
				r.log.expect(t, "link opened with a warning", 1)
				r.roleLog.expect(t, "started", 1)
			})
		})
	}
}

// pauses returns how long each restart was waited for, given how long a run lasts.
func (r *rig) pauses(run time.Duration) (list []time.Duration) {
	for i := 1; i < len(r.starts); i++ {
		list = append(list, r.starts[i].Sub(r.starts[i-1])-run)
	}
	return list
}

func TestRestartsBackOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, "tx", validTX)
		r.play = func(p *process) { p.exit(errors.New("exit status 1")) }
		stop := r.background(t, Outputs{})
		pass(3 * time.Minute)
		stop()
		got := r.pauses(0)
		for i, longest := range []time.Duration{2, 4, 8, 16, 30, 30} {
			if longest *= time.Second; i >= len(got) || got[i] < longest/2 || got[i] > longest {
				t.Fatalf("pause %d of %v: want %v to %v", i+1, got, longest/2, longest)
			}
		}
		if len(r.opened) != 1 {
			t.Errorf("link opened %d times, want once", len(r.opened))
		}
		r.log.expect(t, "msg=\"role ended\" error=\"exit status 1\" retry=", len(got)+1)
	})
}

func TestRunThatLastsMakesTheNextRestartAFirstOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, "tx", validTX)
		r.play = func(p *process) { p.work(stableRun); p.exit(nil) }
		stop := r.background(t, Outputs{})
		pass(20 * stableRun)
		stop()
		got := r.pauses(stableRun)
		if len(got) < 10 {
			t.Fatalf("got %d restarts in 20 minutes, want more", len(got))
		}
		for _, p := range got {
			if p > firstRestart {
				t.Errorf("got pauses %v, want none longer than %v", got, firstRestart)
			}
		}
		r.log.expect(t, "msg=\"role ended\" error=\"exit code 0, not asked for\" retry=", len(got))
	})
}

func TestStartThatFailsIsRepeated(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, "tx", validTX)
		r.fault = errors.New("sandbox: no Landlock")
		stop := r.background(t, Outputs{})
		pass(time.Minute)
		v, _ := r.Vitals.Current()
		stop()
		if len(r.starts) < 3 || v.State != health.Ended || v.Reason != r.fault.Error() {
			t.Errorf("got %d starts and %s: %s", len(r.starts), v.State, v.Reason)
		}
	})
}

func TestConfigurationThatDoesNotFitTheBoardIsInvalid(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		console := strings.Replace(validTX, "medium = \"udp\"\naddress = \"127.0.0.1:17000\"",
			"medium = \"uart\"\ndevice = \"/dev/ttyAMA3\"", 1)
		r := newRig(t, "tx", console)
		b, _ := boards.ByName("rpi4b")
		r.Machine = func() config.Machine { return fit.Machine(b, fit.Network{}) }
		stop := r.background(t, Outputs{})
		pass(10 * time.Second)
		stop()
		if v, _ := r.Vitals.Current(); v.State != health.Invalid || len(r.starts) != 0 {
			t.Errorf("got %s and %d starts, want %s and none", v.State, len(r.starts), health.Invalid)
		}
		r.log.expect(t, "msg=\"configuration refused\" error=\"heliograph.toml:4: device \\\"/dev/ttyAMA3\\\" "+
			"is the console of board rpi4b", 1)
	})
}

func TestBoardCompletesTheConfiguration(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, "tx", strings.Replace(validTX, "medium = \"udp\"\naddress = \"127.0.0.1:17000\"",
			"medium = \"uart\"", 1))
		b, _ := boards.ByName("virt")
		r.Board, r.Machine = b.Name, func() config.Machine { return fit.Machine(b, fit.Network{}) }
		stop := r.background(t, Outputs{})
		pass(5 * time.Second)
		stop()
		if len(r.opened) != 1 || r.opened[0].Device != b.Link.Device || len(r.specs) != 1 ||
			!slices.Contains(r.specs[0].Environment, "HELIOGRAPH_BOARD=virt") {
			t.Errorf("got links %+v and sandboxes %+v, want the board's port and the role to know the board", r.opened,
				r.specs)
		}
	})
}

func TestInvalidConfigurationIsNotRunAndReadAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const page = "[status]\nlisten = \":9464\"\n"
		r := newRig(t, "rx", strings.Replace(validRX, "channel", "chanel", 1)+page)
		stop := r.background(t, Outputs{})
		pass(5 * time.Second)
		const fault = "heliograph.toml:7: unknown key \"chanel\" in syslog; did you mean \"channel\"?"
		v, _ := r.Vitals.Current()
		if v.State != health.Invalid || v.Reason != r.Faults()[0]+" (and 1 more)" ||
			!slices.Contains(r.Faults(), fault) {
			t.Errorf("got %s: %s, faults %q; want %s and %q", v.State, v.Reason, r.Faults(), health.Invalid, fault)
		}
		pass(10 * lastRestart)
		if len(r.started()) != 1 || r.started()[0].Keys != nil {
			t.Errorf("got %d processes, want the one that shows the faults, without keys", len(r.started()))
		}
		r.log.expect(t, "did you mean", 1)
		r.configure(t, validRX)
		pass(lastRestart)
		v, _ = r.Vitals.Current()
		if v.State != health.Good || len(r.Faults()) > 0 || len(r.started()) != 2 {
			t.Errorf("corrected: got %s: %s, faults %q, %d processes", v.State, v.Reason, r.Faults(), len(r.started()))
		}
		stop()
		if p := r.processes[0]; len(p.signals) != 1 || <-p.signals != syscall.SIGTERM {
			t.Error("the page was not ended before the role had its port")
		}
	})
}

func TestRoleHasTimeToEnd(t *testing.T) {
	for name, tt := range map[string]struct {
		stubborn bool
		want     time.Duration
		signals  []syscall.Signal
	}{
		"ends at SIGTERM": {false, 0, []syscall.Signal{syscall.SIGTERM}},
		"ignores SIGTERM": {true, terminateTime, []syscall.Signal{syscall.SIGTERM, syscall.SIGKILL}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t, "tx", validTX)
				r.stubborn = tt.stubborn
				stop := r.background(t, Outputs{})
				pass(time.Minute)
				start := time.Now()
				stop()
				if took := time.Since(start); took != tt.want {
					t.Errorf("took %v, want %v", took, tt.want)
				}
				p := r.processes[0]
				if len(p.signals) != len(tt.signals) {
					t.Fatalf("got %d signals, want %d", len(p.signals), len(tt.signals))
				}
				for _, want := range tt.signals {
					if got := <-p.signals; got != want {
						t.Errorf("got signal %v, want %v", got, want)
					}
				}
				r.log.expect(t, "role ended", 0)
				if r.process() != nil {
					t.Error("a role that has ended counts as running")
				}
			})
		})
	}
}

func TestMalformedReportsAreLoggedOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, "tx", validTX)
		r.play = func(p *process) {
			for range 10 {
				_, _ = io.WriteString(p.out, "owned\n")
			}
			p.work(0)
		}
		stop := r.background(t, Outputs{})
		pass(5 * time.Second)
		v, _ := r.Vitals.Current()
		stop()
		if v.State != health.Good {
			t.Errorf("got %s: %s", v.State, v.Reason)
		}
		r.log.expect(t, "report of the role refused", 1)
	})
}

func TestLinkIsReopenedWhenItsConfigurationChanges(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, "tx", validTX)
		r.play = func(p *process) { p.work(2 * time.Second); p.exit(nil) }
		stop := r.background(t, Outputs{})
		pass(time.Second)
		r.configure(t, strings.Replace(validTX, "17000", "17001", 1))
		pass(10 * time.Second)
		stop()
		if len(r.opened) != 2 || r.opened[0].Address == r.opened[1].Address {
			t.Errorf("got the links %+v, want one of each address", r.opened)
		}
	})
}

func TestLinkWhoseDeviceReturnsIsOpenedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, "rx", validRX)
		stop := r.background(t, Outputs{})
		pass(time.Minute)
		for n := range 3 {
			if got := len(r.started()); got != n+1 {
				t.Fatalf("started %d times before the device returned for the %d. time", got, n+1)
			}
			r.mu.Lock()
			r.returned = true
			r.mu.Unlock()
			pass(time.Minute)
		}
		stop()
		if len(r.opened) != 4 || len(r.specs) != 4 {
			t.Errorf("link opened %d times, role started %d times; want 4", len(r.opened), len(r.specs))
		}
		r.log.expect(t, "the link's device was removed and is there again", 3)
	})
}

func TestExitReasons(t *testing.T) {
	killed := exec.Command("/bin/sh", "-c", "kill -SYS $$").Run()
	for want, err := range map[string]error{
		"not asked for":      nil,
		"possible intrusion": killed,
		"exit status 3":      exec.Command("/bin/sh", "-c", "exit 3").Run(),
		"no such program":    errors.New("no such program"),
	} {
		if got := exitReason(err); !strings.Contains(got, want) {
			t.Errorf("%v: got %q, want %q in it", err, got, want)
		}
	}
}

func TestMissingCardIsAnError(t *testing.T) {
	r := newRig(t, "tx", validTX)
	r.Folders.Card = filepath.Join(r.Folders.Card, "none")
	if err := r.runOnce(t.Context()); err == nil || !strings.Contains(err.Error(), "there is no configuration") {
		t.Errorf("got %v", err)
	}
}
