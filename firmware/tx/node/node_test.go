package node

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"heliograph/ci/await"
	"heliograph/firmware/conduit/selfreport"
	"heliograph/firmware/conduit/wire"
	"heliograph/firmware/config"
	"heliograph/firmware/platform/report"
	"heliograph/firmware/platform/status"
	"heliograph/firmware/platform/store"
	"heliograph/firmware/platform/task"
	"heliograph/firmware/platform/timekeeping"
	"heliograph/firmware/tx/source"
)

func TestFramesLeaveOnTheMedium(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, testConfig(t))
		r.run(t, func() {
			settle()
			frames := 0
			for range 64 {
				_ = r.medium.Receive(0, func([]byte) { frames++ })
			}
			if frames == 0 || r.Snapshot().Link.Frames == 0 {
				t.Errorf("got %d frames, %d in the snapshot; want some", frames, r.Snapshot().Link.Frames)
			}
		})
		if !r.medium.closed.Load() {
			t.Error("the medium was not closed")
		}
	})
}

func TestTheReceiverIsToldOfTheNode(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := testConfig(t)
		c.TX.OPCUA = []config.OPCUASource{{Channel: "press-line"}}
		r := newRig(t, c)
		r.run(t, func() {
			r.plant("cell-1").Report(source.Up, "")
			settle()
			got := r.reported()
			if got.Version != "2.1.0" || got.Pair != "press-hall" || got.Epoch != 1 || got.Clock != "not synchronized" ||
				got.Configuration != "1 mqtt, 0 syslog, 1 opcua over udp" {
				t.Errorf("got %+v", got)
			}
			want := []selfreport.Source{
				{Channel: "cell-1", Protocol: "mqtt", State: "up"},
				{Channel: "press-line", Protocol: "opcua", State: "connecting"},
			}
			if !reflect.DeepEqual(got.Sources, want) {
				t.Errorf("sources: got %+v, want %+v", got.Sources, want)
			}
			if len(got.Certificates) != 1 || got.Certificates[0].Name != "opcua own" {
				t.Errorf("certificates: got %+v, want our own for OPC UA", got.Certificates)
			}
			if len(got.Audit) == 0 || !bytes.Contains(got.Audit[0].Message, []byte("role_started")) {
				t.Errorf("audit: got %+v, want the start", got.Audit)
			}
		})
	})
}

func TestAChangeOfASourceCrossesAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, testConfig(t))
		r.run(t, func() {
			settle()
			before := r.link.Channels()[1].Sent
			r.plant("cell-1").Report(source.Down, "no route to host")
			settle()
			want := []selfreport.Source{{Channel: "cell-1", Protocol: "mqtt", State: "down", Reason: "no route to host"}}
			if got := r.reported().Sources; !reflect.DeepEqual(got, want) {
				t.Errorf("got %+v, want %+v", got, want)
			}
			if got := r.link.Channels()[1].Sent - before; got != 1 {
				t.Errorf("got %d records for one change, want 1", got)
			}
		})
	})
}

func TestAnEntryThatNoLongerHoldsIsDeleted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := testConfig(t)
		c.TX.Syslog = []config.SyslogSource{{Channel: "log", Listen: []string{"tls://127.0.0.1:6514"}}}
		r := newRig(t, c)
		r.run(t, func() {
			settle()
			if got := r.reported().Certificates; len(got) != 1 || got[0].Name != "syslog log" {
				t.Fatalf("got %+v, want the listener's certificate", got)
			}
			if err := os.Remove(filepath.Join(c.TX.PKI, "syslog-log.crt")); err != nil {
				t.Fatal(err)
			}
			time.Sleep(2 * time.Minute) // certificates are read once a minute
			if got := r.reported().Certificates; len(got) != 0 {
				t.Errorf("got %+v, want none", got)
			}
		})
	})
}

func TestTheGatewaysChannelIsUpAndComplete(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, testConfig(t))
		r.run(t, func() {
			settle()
			if c := r.link.Channels()[1]; c.State != source.Up || c.Partial {
				t.Errorf("got %+v, want it up, not partial", c)
			}
			if r.runner.Steps()["report"] < 2 {
				t.Errorf("got steps %v, want some of the reporter", r.runner.Steps())
			}
		})
	})
}

func TestReadinessAndEvidence(t *testing.T) {
	for name, c := range map[string]struct {
		do                  func(r *rig)
		ready               string // part of it; "" for nil
		down, waiting, lost string // likewise, of the evidence
	}{
		"connecting": {func(*rig) {}, "channel cell-1: source connecting", "cell-1: source connecting", "", ""},
		"down": {func(r *rig) { r.plant("cell-1").Report(source.Down, "refused") },
			"channel cell-1: source down: refused", "cell-1: source down: refused", "", ""},
		"not complete": {func(r *rig) { r.plant("cell-1").Report(source.Up, "") },
			"channel cell-1: " + notComplete, "", "cell-1: " + notComplete, ""},
		"ready": {func(r *rig) { r.up() }, "", "", "", ""},
		"state full": {func(r *rig) {
			r.up()
			_ = r.plant("cell-1").Put(source.Update{Key: []byte("k"), Payload: make([]byte, 5000)})
		}, "channel cell-1: 1 values did not cross: more state than [memory]", "", "", ""},
		"medium away": {func(r *rig) { r.up(); settle(); r.medium.away.Store(true) },
			"link: interface is away", "", "", "link: interface is away"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				cfg := testConfig(t)
				cfg.TX.Memory.ChannelState = 4000
				r := newRig(t, cfg)
				r.run(t, func() {
					c.do(r)
					settle()
					e := r.Report().Evidence
					contains(t, "ready", strings.Join(r.Ready().Lines(), "\n"), c.ready)
					contains(t, "down", strings.Join(e.Down, "; "), c.down)
					contains(t, "waiting", e.Waiting, c.waiting)
					contains(t, "link lost", e.LinkLost, c.lost)
					for _, part := range []string{"report", "link epoch 1"} {
						if !slices.ContainsFunc(slices.Collect(keys(e.Steps)), func(s string) bool { return strings.HasPrefix(s, part) }) {
							t.Errorf("steps: got %v, want those of %q", e.Steps, part)
						}
					}
				})
			})
		})
	}
}

func keys(m map[string]uint64) func(func(string) bool) {
	return func(yield func(string) bool) {
		for k := range m {
			if !yield(k) {
				return
			}
		}
	}
}

func (r *rig) up() {
	p := r.plant("cell-1")
	p.Report(source.Up, "")
	p.SetComplete(true)
}

func contains(t *testing.T, name, got, want string) {
	t.Helper()
	if !strings.Contains(got, want) || want == "" && got != "" {
		t.Errorf("%s: got %q, want %q", name, got, want)
	}
}

func TestSnapshotShowsTheChannels(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, testConfig(t))
		r.run(t, func() {
			r.up()
			p := r.plant("cell-1")
			for _, v := range []string{"1", "2"} {
				if err := p.Put(source.Update{Key: []byte("k"), Payload: []byte(v)}); err != nil {
					t.Error(err)
				}
			}
			if err := p.Put(source.Update{Payload: make([]byte, 9<<20), Event: true}); !errors.Is(err, source.ErrTooLarge) {
				t.Errorf("got %v, want %v", err, source.ErrTooLarge)
			}
			settle()
			s := r.Snapshot()
			if s.Role != "tx" || s.Pair != "press-hall" || s.Version != "2.1.0" || s.UptimeSeconds != settledSeconds || len(s.Notes) == 0 ||
				s.Link.Medium != "udp" || s.Link.Epoch != 1 || s.Link.Bytes == 0 || len(s.Counters) == 0 {
				t.Errorf("got %+v", s)
			}
			want := status.Channel{
				Protocol: "mqtt", Sent: status.Of[uint64](3), Conflated: status.Of[uint64](1), Dropped: status.Of[uint64](0),
				Refused: status.Of[uint64](1), RefusedReason: "1 larger than the link carries in one record",
				QueuedBytes: status.Of[uint64](0), Keys: status.Of[uint64](1), StateBytes: status.Of[uint64](258), SourceState: "up",
			}
			if got := s.Channels; len(got) != 1 || !reflect.DeepEqual(got["cell-1"], want) {
				t.Errorf("got %s, want %s", asJSON(got), asJSON(want))
			}
		})
	})
}

func asJSON(v any) []byte {
	b, _ := json.Marshal(v)
	return b
}

const settledSeconds = 6

func TestEachRunHasItsEpochAndTheTotalsOfEarlierOnes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := testConfig(t)
		for run := range uint64(3) {
			r := newRig(t, c)
			if got := r.state.totals.Earlier("cell-1"); got != 2*run {
				t.Errorf("run %d: got %d records of earlier runs, want %d", run, got, 2*run)
			}
			r.run(t, func() {
				for range 2 {
					if err := r.plant("cell-1").Put(source.Update{Payload: []byte("x"), Event: true}); err != nil {
						t.Error(err)
					}
				}
				settle()
			})
			if got := r.Snapshot().Link.Epoch; got != run+1 {
				t.Errorf("run %d: got epoch %d, want %d", run, got, run+1)
			}
			r.Close()
		}
	})
}

func TestDamagedStateIsAudited(t *testing.T) {
	c := testConfig(t)
	for _, name := range []string{"epoch.a", "epoch.b", "totals"} {
		if err := os.WriteFile(filepath.Join(c.TX.State, name), bytes.Repeat([]byte{0xff}, 33<<10), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	r := newRig(t, c)
	for _, want := range []string{"role_started", "epoch_lost", "totals_damaged"} {
		if !slices.ContainsFunc(r.Snapshot().Notes, func(n status.Note) bool { return n.Event == want }) {
			t.Errorf("got %+v, want %s among them", r.Snapshot().Notes, want)
		}
	}
}

func TestTheStateHasOneUser(t *testing.T) {
	c := testConfig(t)
	r := newRig(t, c)
	c.Build = r.Node.config.Build
	if _, err := New(c); !errors.Is(err, store.ErrInUse) {
		t.Errorf("got %v, want %v", err, store.ErrInUse)
	}
}

func TestAConstructorsErrorEndsTheNodeAndUnlocksTheState(t *testing.T) {
	broken := errors.New("broken")
	for name, breakIt := range map[string]func(*Config){
		"medium": func(c *Config) {
			c.Build.Medium = func(config.Link, *slog.Logger) (Medium, error) { return Medium{}, broken }
		},
		"mqtt": func(c *Config) {
			c.Build.MQTT = func(config.MQTTSource, string, source.Holder, *slog.Logger) (task.Task, error) { return nil, broken }
		},
		"syslog": func(c *Config) {
			c.TX.Syslog = []config.SyslogSource{{Channel: "log"}}
			c.Build.Syslog = func(config.SyslogSource, source.Port, *slog.Logger) (task.Task, error) { return nil, broken }
		},
	} {
		t.Run(name, func(t *testing.T) {
			c := testConfig(t)
			r := newRig(t, c)
			r.Close()
			c.Build = r.Node.config.Build
			good := c
			breakIt(&c)
			if _, err := New(c); !errors.Is(err, broken) {
				t.Fatalf("got %v, want %v", err, broken)
			}
			n, err := New(good)
			if err != nil {
				t.Fatalf("afterwards: %v", err)
			}
			n.Close()
		})
	}
}

func TestAPairKeyThatIsMissingEndsTheNode(t *testing.T) {
	c := testConfig(t)
	c.TX.Link.KeyFile = filepath.Join(t.TempDir(), "none")
	if _, err := New(c); err == nil || !strings.Contains(err.Error(), "none") {
		t.Errorf("got %v, want the file named", err)
	}
}

func TestLinkConfigs(t *testing.T) {
	tx := config.TX{Link: config.Link{Rate: 80e6, Baud: 921600, Overhead: 0.3}, Memory: config.Memory{State: 80, ChannelState: 40}}
	for name, c := range map[config.Medium]struct {
		rate, share float64
		frame       int
		ahead       time.Duration
		encodes     bool
	}{
		config.UDP:      {10e6, 0.10, 1472, 500 * time.Microsecond, false},
		config.Ethernet: {10e6, 0.10, 1472, 500 * time.Microsecond, false},
		config.UART:     {92160, 0.25, 239, 2810329 * time.Nanosecond, true},
	} {
		tx.Link.Medium = name
		got, err := linkConfig(tx, Medium{MaxFrame: 1472, Overhead: 66})
		if err != nil || got.Rate != c.rate || got.CarouselShare != c.share || got.Profile.MaxFrame() != c.frame || got.Ahead != c.ahead ||
			(got.Encode != nil) != c.encodes || got.Overhead != 0.3 || got.State != 80 || got.ChannelState != 40 {
			t.Errorf("%s: got %+v, %v; want %+v", name, got, err, c)
		}
	}
	tx.Link.Medium = "smoke"
	if _, err := linkConfig(tx, Medium{}); err == nil {
		t.Error("an unknown medium: got no error")
	}
}

func TestClassesOfChannels(t *testing.T) {
	for bulk, want := range map[bool]wire.Class{false: wire.LowLatency, true: wire.Bulk} {
		synctest.Test(t, func(t *testing.T) {
			c := testConfig(t)
			c.TX.MQTT[0].Bulk = bulk
			r := newRig(t, c)
			r.run(t, func() {
				settle()
				for range 64 { // hellos, and the start of the gateway's channel
					_ = r.medium.Receive(0, func([]byte) {})
				}
				if err := r.plant("cell-1").Put(source.Update{Payload: make([]byte, 1000), Event: true}); err != nil {
					t.Error(err)
				}
				time.Sleep(time.Millisecond)
				found := false
				for range 64 {
					_ = r.medium.Receive(0, func(frame []byte) {
						var h wire.Header
						h.Parse(frame)
						found = found || h.Kind == wire.Source && h.Class == want && len(frame) > 1000
					})
				}
				if !found {
					t.Errorf("bulk %v: no frame of class %s with the event", bulk, want)
				}
			})
		})
	}
}

func TestTLSListenersHaveACertificate(t *testing.T) {
	log := slog.New(slog.DiscardHandler)
	folder := t.TempDir()
	plain := config.SyslogSource{Channel: "a", Listen: []string{"udp://127.0.0.1:514"}}
	secure := config.SyslogSource{Channel: "b", Listen: []string{"udp://127.0.0.1:514", "tls://127.0.0.1:6514"}}
	own := secure
	own.TLS.Certificate = "own.crt"
	notAFolder := filepath.Join(folder, "file")
	if err := os.WriteFile(notAFolder, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		config   config.SyslogSource
		folder   string
		file     string
		inMemory bool
	}{
		"no tls":          {plain, folder, "", false},
		"made":            {secure, folder, filepath.Join(folder, "syslog-b.crt"), false},
		"made before":     {secure, folder, filepath.Join(folder, "syslog-b.crt"), false},
		"configured":      {own, folder, "own.crt", false},
		"cannot be saved": {secure, notAFolder, "", true},
	} {
		got, err := withCertificate(c.config, c.folder, log)
		if err != nil || got.TLS.Certificate != c.file || (got.TLS.Own != nil) != c.inMemory {
			t.Errorf("%s: got %+v, %v; want %q, in memory %v", name, got.TLS, err, c.file, c.inMemory)
		}
	}
}

func TestAHangupHasOPCUASourcesBrowse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hangup := make(chan os.Signal, 1)
		c := testConfig(t)
		c.Hangup = hangup
		c.TX.OPCUA = []config.OPCUASource{{Channel: "press-line"}, {Channel: "oven"}}
		r := newRig(t, c)
		r.run(t, func() {
			settle()
			for want := int32(1); want <= 2; want++ {
				hangup <- os.Interrupt
				synctest.Wait()
				for _, channel := range []string{"press-line", "oven"} {
					if got := r.plant(channel).browsed.Load(); got != want {
						t.Errorf("%s: browsed %d times, want %d", channel, got, want)
					}
				}
			}
		})
	})
}

func TestAChangeOfTrustReconnectsOPCUASources(t *testing.T) {
	c := testConfig(t)
	c.TX.OPCUA = []config.OPCUASource{{Channel: "press-line"}}
	r := newRig(t, c)
	r.trustChanged()
	if got := r.plant("press-line").reconnects.Load(); got != 1 {
		t.Errorf("reconnected %d times, want once", got)
	}
	if !slices.ContainsFunc(r.Snapshot().Notes, func(n status.Note) bool { return n.Event == "trust_changed" }) {
		t.Errorf("got %+v, want trust_changed among them", r.Snapshot().Notes)
	}
}

func TestTheClock(t *testing.T) {
	errSilent := errors.New("no answer")
	for name, c := range map[string]struct {
		synchronized bool
		servers      []string
		offset       time.Duration
		err          error
		set          bool
		state        string
		number       bool // whether PID 1 is given an estimate
	}{
		"nothing keeps it":     {false, nil, 0, nil, false, "not synchronized", false},
		"something keeps it":   {true, nil, 0, nil, true, "synchronized", false},
		"a server confirms it": {false, []string{"10.0.0.1"}, 2 * time.Millisecond, nil, true, "ntp 10.0.0.1, off by 2ms", true},
		"a server denies it":   {false, []string{"10.0.0.1"}, time.Minute, nil, false, "ntp 10.0.0.1, off by 1m0s", true},
		"no server answers": {false, []string{"10.0.0.1"}, 0, errSilent, false,
			"not synchronized: no time server answers: 10.0.0.1: no answer", false},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				cfg := testConfig(t)
				cfg.TX.Time = c.servers
				cfg.Synchronized = func() bool { return c.synchronized }
				r := newRig(t, cfg)
				r.ntp.Query = func(context.Context, string) (timekeeping.Answer, error) {
					return timekeeping.Answer{Offset: c.offset}, c.err
				}
				r.run(t, func() {
					settle()
					if got := r.clockSet(); got != c.set {
						t.Errorf("set: got %v, want %v", got, c.set)
					}
					if got := r.Snapshot().Clock; got != c.state {
						t.Errorf("got %q, want %q", got, c.state)
					}
					if got := r.Report().Clock; (got.Number > 0) != c.number || c.number && got.OffsetSeconds != c.offset.Seconds() {
						t.Errorf("report: got %+v", got)
					}
				})
			})
		})
	}
}

func TestTemperature(t *testing.T) {
	file := filepath.Join(t.TempDir(), "temp")
	for content, want := range map[string]int{"47774\n": 48, "47499": 47, "0": 0} {
		if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		if got := temperature(file); got == nil || *got != want {
			t.Errorf("%q: got %v, want %d", content, got, want)
		}
	}
	if err := os.WriteFile(file, []byte("warm"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, file := range []string{file, file + "-none"} {
		if got := temperature(file); got != nil {
			t.Errorf("%s: got %d, want none", file, *got)
		}
	}
}

// lines is where a test reads reports for PID 1.
type lines struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *lines) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(b)
}

func TestPID1ReadsAReportEachSecond(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var to lines
		c := testConfig(t)
		c.Reports = &to
		r := newRig(t, c)
		r.run(t, func() {
			r.up()
			settle()
		})
		var got []report.Report
		if err := report.Read(&to.buf, func(r report.Report) { got = append(got, r) }, func(err error) { t.Error(err) }); err != nil {
			t.Fatal(err)
		}
		if n := len(got); n < settledSeconds || n > settledSeconds+1 {
			t.Fatalf("got %d reports in %d s", n, settledSeconds)
		}
		if last := got[len(got)-1]; !last.Snapshot.Ready || last.Snapshot.Pair != "press-hall" || last.Evidence.Steps["report"] < 2 {
			t.Errorf("got %+v", last)
		}
	})
}

func TestTheStatusServerShowsTheNode(t *testing.T) {
	c := testConfig(t)
	c.TX.Status.Listen = "127.0.0.1:0"
	r := newRig(t, c)
	r.run(t, func() {
		var server *status.Server
		for _, p := range r.Tasks() {
			if s, ok := p.(*status.Server); ok {
				server = s
			}
		}
		await.True(t, "the status server listens", func() bool { return server.Address() != "" })
		answer, err := http.Get("http://" + server.Address() + "/readyz")
		if err != nil {
			t.Fatal(err)
		}
		defer answer.Body.Close()
		body, err := io.ReadAll(answer.Body)
		if err != nil || answer.StatusCode != http.StatusServiceUnavailable || !strings.Contains(string(body), "channel cell-1: source connecting") {
			t.Errorf("got %d %q, %v", answer.StatusCode, body, err)
		}
	})
}
