package node

import (
	"bytes"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"heliograph/firmware/config"
	"heliograph/firmware/platform/status"
	"heliograph/firmware/platform/store"
	"heliograph/firmware/rx/memory"
	"heliograph/firmware/rx/pipeline"
	"heliograph/firmware/rx/sink"
	"heliograph/firmware/rx/spool"
)

func TestANodeBecomesReadyWithWhatTheLinkBrings(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		r := newRig(t)
		r.run()
		defer r.end()
		time.Sleep(time.Second)
		synctest.Wait()
		cell, log := "channel cell: "+notComplete, "channel log: "+notComplete
		r.ready("link: nothing received from the transmitter yet", cell, log)

		r.transmit(7)
		r.heartbeat(0)
		synctest.Wait()
		r.ready(cell, log)

		r.everything()
		synctest.Wait()
		r.ready()
		if got, want := r.sinks["cell"].delivered(), []string{"a=1", "b=2"}; !slices.Equal(got, want) {
			t.Errorf("delivered %q, want %q", got, want)
		}

		r.sinks["log"].set(sink.Down, "connection refused")
		r.ready("syslog sink log: down: connection refused")
		r.sinks["log"].set(sink.Up, "")

		time.Sleep(10 * time.Second)
		r.ready("link: silent for 10s")
	})
}

func TestTasksOfANode(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(*Config)
		want   []string
	}{
		{"least", func(*Config) {}, []string{"mqtt sink cell", "syslog sink log", "link", "board", "audit trail",
			"trend"}},
		{"time servers, status and reports", func(c *Config) {
			c.RX.Time, c.RX.Status.Listen, c.Reports = []string{"10.0.0.1"}, "127.0.0.1:0", &bytes.Buffer{}
		}, []string{
			"mqtt sink cell", "syslog sink log", "certificates", "link", "board", "audit trail", "trend", "ntp",
			"status server", "report to PID 1",
		}},
		{"audit forward", func(c *Config) {
			c.RX.MQTT, c.RX.Audit = nil, config.SyslogSink{Forward: "tcp://siem:601", SpoolBytes: 1 << 20}
		}, []string{"syslog sink log", "audit forward", "link", "board", "audit trail", "trend"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			inBubble(t, func(t *testing.T) {
				r := newRig(t)
				c.change(&r.cfg)
				n := r.open()
				defer n.Close()
				if got := names(n.Tasks()); !slices.Equal(got, c.want) {
					t.Errorf("got %q, want %q", got, c.want)
				}
			})
		})
	}
}

func TestARunEndsWithItsMediumClosedAndItsStateUnlocked(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		r := newRig(t)
		r.run()
		if _, err := New(r.cfg); !errors.Is(err, store.ErrInUse) {
			t.Errorf("a second node on the same state: got %v, want %v", err, store.ErrInUse)
		}
		r.end()
		if !r.pipe.closed {
			t.Error("the medium is open after the end")
		}
		r.open().Close()
	})
}

func TestWhatCannotBeBuiltIsAnErrorAndReleasesTheState(t *testing.T) {
	broken := errors.New("broken")
	for name, change := range map[string]func(*Config){
		"medium": func(c *Config) {
			c.Build.Medium = func(config.Link, *slog.Logger) (pipeline.Receiver, error) { return nil, broken }
		},
		"mqtt sink": func(c *Config) {
			c.Build.MQTT = func(config.MQTTSink, MQTTParts, *slog.Logger) (Sink, error) { return nil, broken }
		},
		"syslog sink": func(c *Config) {
			c.Build.Syslog = func(config.SyslogSink, *spool.Queue, sink.Account, *slog.Logger) (Sink, error) {
				return nil, broken
			}
		},
		"opcua sink": func(c *Config) {
			c.RX.OPCUA = []config.OPCUASink{{Channel: "press"}}
			c.Build.OPCUA = func(config.OPCUASink, OPCUAParts, *slog.Logger) (OPCUASink, error) { return nil, broken }
		},
		"unknown medium": func(c *Config) { c.RX.Link.Medium = "pigeon" },
		"pair key":       func(c *Config) { c.RX.Link.KeyFile += ".gone" },
		"users of a broker": func(c *Config) {
			c.RX.MQTT[0].UsersFile = filepath.Join(c.RX.State, "gone")
		},
		"users of a mirror": func(c *Config) {
			c.RX.OPCUA = []config.OPCUASink{{Channel: "press", UsersFile: filepath.Join(c.RX.State, "gone")}}
		},
		"certificate of the status server": func(c *Config) {
			c.RX.Status = config.Status{Listen: "127.0.0.1:0", Secure: true,
				TLS: config.TLS{Certificate: "/gone", PrivateKey: "/gone"}}
		},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T) {
				r := newRig(t)
				r.open().Close()
				good := r.cfg
				good.RX.MQTT = slices.Clone(good.RX.MQTT)
				change(&r.cfg)
				r.pipe.closed = false
				if _, err := New(r.cfg); err == nil || strings.Contains(err.Error(), "\n") {
					t.Errorf("got %v, want an error in one line", err)
				}
				if opened := name != "medium" && name != "unknown medium" &&
					name != "pair key"; r.pipe.closed != opened {
					t.Errorf("the medium is closed: %v, want %v", r.pipe.closed, opened)
				}
				r.cfg = good
				r.open().Close() // it is not locked
			})
		})
	}
}

func TestAUARTHasASynchronizer(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		r := newRig(t, func(c *config.RX) { c.Link.Medium = config.UART })
		n := r.run()
		defer r.end()
		r.frame([]byte("noise"))
		synctest.Wait()
		for _, set := range n.Snapshot().Counters {
			if set.Part == "codeword" {
				return
			}
		}
		t.Error("no counters of a synchronizer")
	})
}

func TestTheNextRunContinuesTheAccount(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		r := newRig(t)
		r.run()
		r.transmit(7)
		r.everything()
		synctest.Wait()
		r.sinks["cell"].account.Refused(1)
		r.end()

		n := r.run()
		defer r.end()
		s := n.Snapshot().Channels["cell"]
		if *s.Delivered != 1 || *s.Refused != 1 || *s.Unknown != 0 {
			t.Errorf("got %d delivered, %d refused, %d unknown; want 1, 1, 0", *s.Delivered, *s.Refused, *s.Unknown)
		}
		r.transmit(8)
		r.heartbeat(0)
		r.state("cell", "b", "2")
		synctest.Wait()
		if got, want := r.sinks["cell"].delivered(), []string{"b=2", "delete a"}; !slices.Equal(got, want) {
			t.Errorf("delivered %q, want %q: the keys of the run before are remembered", got, want)
		}
	})
}

// The link is down while RX restarts twice, and the peer refuses what the spool had.
func TestWhatIsRefusedWithoutASessionIsKept(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		r := newRig(t)
		r.run()
		r.transmit(7)
		r.everything()
		synctest.Wait()
		r.end()

		r.run()
		r.sinks["cell"].account.Refused(1)
		time.Sleep(2 * time.Second)
		dir := t.TempDir() // of a run that is killed
		if err := os.CopyFS(dir, os.DirFS(r.cfg.RX.State)); err != nil {
			t.Fatal(err)
		}
		r.sinks["cell"].account.Expired(1)
		r.end()

		for state, want := range map[string][3]uint64{r.cfg.RX.State: {0, 1, 1}, dir: {1, 1, 0}} {
			r.cfg.RX.State = state
			n := r.run()
			r.hello()
			r.totals("cell", 3)
			time.Sleep(2 * time.Second) // frames before them were missed
			synctest.Wait()
			s := n.Snapshot().Channels["cell"]
			if got := [3]uint64{*s.Delivered, *s.Refused, *s.Expired}; got != want || *s.Lost != 1 || *s.Unknown != 0 {
				t.Errorf("got %d delivered, refused, expired, %d lost, %d unknown; want %d, 1 and 0", got, *s.Lost,
					*s.Unknown, want)
			}
			r.end()
		}
	})
}

func TestAnEarlierEpochIsRefusedAndNamed(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		r := newRig(t)
		r.run()
		defer r.end()
		r.transmit(7)
		r.heartbeat(0)
		time.Sleep(6 * time.Second)
		r.transmit(3)
		synctest.Wait()
		var found bool
		for _, reason := range r.node.Ready() {
			found = found || reason.Part == "epoch_regressed"
			if reason.Part == "link" {
				t.Errorf("got also %v: frames arrive, and are refused", reason)
			}
		}
		if v := r.node.Snapshot().Trust; len(v.Reasons) != 1 || v.Reasons[0].Kind != status.KindEpoch {
			t.Errorf("trust: got %+v, want the epoch as the only reason", v)
		}
		if !found || !strings.Contains(strings.Join(r.node.Ready().Lines(), "\n"), memory.ErrRegressed.Error()) {
			t.Errorf("got %q, want the regressed epoch", r.node.Ready())
		}
		r.audited("rx epoch_regressed")
	})
}

func TestStateThatIsNotKeptIsAReason(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		r := newRig(t)
		r.run()
		defer r.end()
		r.transmit(7)
		r.everything()
		synctest.Wait()
		r.node.state.memory.SetFault(spoolPart+"log", errors.New("no space\nleft"))
		r.ready("state: spool of log not kept: no space; left")
		r.pass(1)
		r.ready() // the spool itself has no fault
		r.audited("rx state_writable")
	})
}

func TestValuesWithoutRoomAreAReason(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		r := newRig(t, func(c *config.RX) { c.Memory = config.Memory{State: 1 << 20, ChannelState: 900} })
		r.run()
		defer r.end()
		r.transmit(7)
		r.heartbeat(0)
		r.state("cell", "a", strings.Repeat("x", 800), "b", "2")
		synctest.Wait()
		want := "channel cell: 1 keys are without their values: more state than [memory] of this file lets it keep"
		if got := r.node.Ready().Lines(); !slices.Contains(got, want) {
			t.Errorf("got %q, want %q among them", got, want)
		}
	})
}
