package node

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"heliograph/drivers/drivertest"
	"heliograph/firmware/conduit/record"
	"heliograph/firmware/conduit/wire"
	"heliograph/firmware/config"
	"heliograph/firmware/config/pairkey"
	"heliograph/firmware/platform/audit"
	"heliograph/firmware/platform/machine"
	"heliograph/firmware/platform/task"
	"heliograph/firmware/rx/pipeline"
	"heliograph/firmware/rx/sink"
	"heliograph/firmware/rx/spool"
)

// medium is a Pipe that a node opens and closes.
type medium struct {
	*drivertest.Pipe
	closed bool
}

func (m *medium) Close() error { m.closed = true; return nil }

// fakeSink takes what is delivered, and has the state that a test sets.
type fakeSink struct {
	name    string
	account sink.Account
	trusted int // calls of CheckTrust

	mu     sync.Mutex
	got    []string
	state  sink.State
	reason string
	last   []byte // payload delivered last
}

func (s *fakeSink) String() string                { return s.name }
func (s *fakeSink) Run(ctx context.Context) error { <-ctx.Done(); return nil }
func (s *fakeSink) CheckTrust()                   { s.trusted++ }
func (s *fakeSink) AcceptsLate() bool             { return true }
func (s *fakeSink) Drain()                        {}
func (s *fakeSink) Volatile() uint64              { return 0 }

func (s *fakeSink) Ready() error {
	if state, reason := s.Status(); state != sink.Up {
		return fmt.Errorf("%s: %s", state, reason)
	}
	return nil
}

func (s *fakeSink) Status() (sink.State, string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.state, s.reason
}

func (s *fakeSink) set(state sink.State, reason string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.state, s.reason = state, reason
}

func (s *fakeSink) Deliver(u sink.Update) {
	s.mu.Lock()
	defer s.mu.Unlock()
	text := fmt.Sprintf("%s=%s", u.Key, u.Payload)
	if u.Delete {
		text = fmt.Sprintf("delete %s", u.Key)
	}
	s.got, s.last = append(s.got, text), u.Payload
}

func (s *fakeSink) delivered() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.got)
}

// rig is a node on a Pipe, and the transmitter at its other end.
type rig struct {
	facts string // file of PID 1; "": there is none
	t     *testing.T
	cfg   Config
	node  *Node
	pipe  *medium
	sinks map[string]*fakeSink // by channel; record.Gateway: of the audit trail
	mqtt  map[string]MQTTParts
	opcua map[string]OPCUAParts
	parts func() map[string]any // of the gateway's own OPC UA server
	log   *logBuffer
	key   wire.PairKey

	session  *wire.Session
	start    time.Time // of the transmitter
	sequence uint64
	index    uint16
	stop     func()
}

// newRig prepares a configuration with the channels cell (mqtt) and log (syslog). It
// runs in a bubble of synctest.
func newRig(t *testing.T, change ...func(*config.RX)) *rig {
	t.Helper()
	dir := t.TempDir()
	r := &rig{t: t, pipe: &medium{Pipe: drivertest.NewPipe(1000)}, log: &logBuffer{}, key: pairkey.New()}
	keyFile := filepath.Join(dir, "pair.key")
	if err := pairkey.Create(keyFile, r.key); err != nil {
		t.Fatal(err)
	}
	r.cfg = Config{
		Version: "1.2.3",
		Log:     slog.New(slog.NewTextHandler(r.log, nil)),
		RX: config.RX{
			Pair: "press-hall", StaleAfter: 5 * time.Second, State: filepath.Join(dir, "state"),
			PKI:    filepath.Join(dir, "pki"),
			Link:   config.Link{Medium: config.UDP, KeyFile: keyFile},
			Memory: config.Memory{State: 1 << 20, ChannelState: 1 << 19},
			MQTT:   []config.MQTTSink{{Channel: "cell", Broker: "mqtt://broker:1883", SpoolBytes: 1 << 20}},
			Syslog: []config.SyslogSink{{Channel: "log", Forward: "tcp://siem:601", SpoolBytes: 1 << 20}},
		},
		Build: Build{Medium: r.openMedium, MQTT: r.newMQTT, Syslog: r.newSyslog, OPCUA: r.newOPCUA, State: r.newState},
	}
	for _, f := range change {
		f(&r.cfg.RX)
	}
	return r
}

func (r *rig) openMedium(config.Link, *slog.Logger) (pipeline.Receiver, error) { return r.pipe, nil }

func (r *rig) newMQTT(c config.MQTTSink, p MQTTParts, _ *slog.Logger) (Sink, error) {
	r.mqtt[c.Channel] = p
	return r.sink("mqtt sink "+c.Channel, c.Channel, p.Channel), nil
}

func (r *rig) newState(c config.OPCUASink, p OPCUAParts, parts func() map[string]any, _ *slog.Logger) (StateServer,
	error) {
	r.opcua[c.Channel], r.parts = p, parts
	return r.sink("gateway state", c.Channel, nil), nil
}

func (r *rig) newSyslog(c config.SyslogSink, _ *spool.Queue, a sink.Account, _ *slog.Logger) (Sink, error) {
	if c.Channel == "" {
		return r.sink("audit forward", record.Gateway, a), nil
	}
	return r.sink("syslog sink "+c.Channel, c.Channel, a), nil
}

func (r *rig) newOPCUA(c config.OPCUASink, p OPCUAParts, _ *slog.Logger) (OPCUASink, error) {
	r.opcua[c.Channel] = p
	return r.sink("opcua sink "+c.Channel, c.Channel, p.Channel), nil
}

func (r *rig) sink(name, channel string, a sink.Account) *fakeSink {
	s := &fakeSink{name: name, account: a, state: sink.Up}
	r.sinks[channel] = s
	return s
}

// open makes the node.
func (r *rig) open() *Node {
	r.t.Helper()
	r.sinks, r.mqtt, r.opcua = map[string]*fakeSink{}, map[string]MQTTParts{}, map[string]OPCUAParts{}
	n, err := New(r.cfg)
	if err != nil {
		r.t.Fatal(err)
	}
	n.machine = &machine.Reader{Root: r.t.TempDir()} // the real one's uptime and disk change as they like
	if r.facts != "" {
		n.machine = machine.From(r.facts)
	}
	r.node = n
	return n
}

// run makes the node and runs it until end.
func (r *rig) run() *Node {
	r.t.Helper()
	n := r.open()
	ctx, cancel := context.WithCancel(r.t.Context())
	done := make(chan error, 1)
	go func() { done <- n.Run(ctx) }()
	r.stop = func() {
		cancel()
		if err := <-done; err != nil {
			r.t.Errorf("run: %v", err)
		}
		n.Close()
	}
	return n
}

func (r *rig) end() { r.stop() }

// transmit has a transmitter of an epoch start.
func (r *rig) transmit(epoch uint64) {
	r.t.Helper()
	s, err := wire.NewSession(r.key, epoch, [16]byte{byte(epoch)})
	if err != nil {
		r.t.Fatal(err)
	}
	r.session, r.start, r.sequence, r.index = s, time.Now(), 1, 0
	frame := make([]byte, wire.HelloHeaderSize, 128)
	(&wire.HelloHeader{Session: s.ID, Epoch: epoch, Sequence: r.sequence, Salt: s.Salt}).Put(frame)
	r.frame(s.Seal(frame, wire.HelloHeaderSize, r.sequence))
}

func (r *rig) frame(b []byte) {
	if n, err := r.pipe.Transmit([][]byte{b}); n != 1 || err != nil {
		r.t.Fatalf("transmit: %d, %v", n, err)
	}
}

// record sends one record in a frame of its own, or in as many as it takes.
func (r *rig) record(kind record.Kind, body []byte) {
	const most = 1300
	first := true
	for ; len(body) > most; body, first = body[most:], false {
		r.item(record.Item{Kind: kind, First: first, Body: body[:most]})
	}
	r.item(record.Item{Kind: kind, First: first, Last: true, Body: body})
}

// item sends one item in a frame of its own.
func (r *rig) item(item record.Item) {
	r.sequence++
	frame := make([]byte, wire.HeaderSize, 1400)
	h := wire.Header{Kind: wire.Source, Lanes: 1, Session: r.session.ID, Sequence: uint32(r.sequence), Index: r.index}
	h.Put(frame)
	r.index++
	frame = record.AppendItem(frame, item)
	r.frame(r.session.Seal(frame, wire.HeaderSize, r.sequence))
}

// heartbeat sends a heartbeat of a transmitter whose clock is ahead by an offset.
func (r *rig) heartbeat(ahead time.Duration) {
	h := record.Heartbeat{
		UTC: time.Now().Add(ahead).UnixNano(), ClockSet: true, Uptime: uint64(time.Since(r.start).Milliseconds()),
	}
	r.record(record.KindHeartbeat, h.Append(nil))
}

// state is a channel's complete state as the carousel sends it: key, value, key, value.
// The first key was record 1 of the channel, and so on.
func (r *rig) state(channel string, keysAndValues ...string) {
	id, seq := record.ChannelID(channel), uint64(len(keysAndValues)/2)
	r.record(record.KindTotals, (&record.Totals{Channel: id, State: record.SourceUp, Seq: seq, Keys: seq}).Append(nil))
	page := record.AppendPage(nil, &record.Page{Channel: id, Last: true, Seq: seq, To: seq})
	var run record.Run
	var hash uint64
	for i := uint64(1); i <= seq; i++ {
		key, value := []byte(keysAndValues[2*i-2]), []byte(keysAndValues[2*i-1])
		page = run.AppendEntry(page, &record.Entry{Seq: i, Created: i, Key: key, Payload: value})
		hash += record.KeyHash(key, i)
	}
	if seq > 0 {
		r.record(record.KindPage, page)
	}
	r.record(record.KindManifest, (&record.Manifest{Channel: id, Seq: seq, Keys: seq, Hash: hash}).Append(nil))
}

// everything sends the complete state of the gateway's own channel and both others.
func (r *rig) everything() {
	r.heartbeat(time.Hour)
	r.state(record.Gateway,
		"version", "1.2.2", "source/cell", `{"protocol":"mqtt"}`,
		"source/log", `{"missed":4,"missed_reason":"4 lines","protocol":"syslog"}`,
		"certificate/opcua own", "expires 2027-01-31", "audit/1", auditMessage(1))
	r.state("cell", "a", "1", "b", "2")
	r.state("log")
}

// auditMessage is an event of the transmitter's audit trail.
func auditMessage(number uint64) string {
	m := audit.Message{Trail: "90ab", Entry: audit.Event{
		Number: number, Time: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC), Source: "tx", Category: audit.AccessControl,
		Event: "login_refused", Text: "user ann: wrong password", Result: audit.Failure, Count: 1,
	}}
	b, err := m.Encode()
	if err != nil {
		panic(err)
	}
	return string(b)
}

// pass lets time pass, with a heartbeat each second.
func (r *rig) pass(seconds int) {
	for range seconds {
		r.heartbeat(time.Hour)
		time.Sleep(time.Second)
		synctest.Wait()
	}
}

// events are the kinds of this board's audit events, oldest first.
func (r *rig) events() (kinds []string) {
	for _, e := range r.node.state.journal.Events() {
		kinds = append(kinds, e.Source+" "+e.Event)
	}
	return kinds
}

func (r *rig) ready(want ...string) {
	r.t.Helper()
	if got := r.node.Ready().Lines(); !slices.Equal(got, want) {
		r.t.Errorf("not ready because of\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

func (r *rig) audited(want string) {
	r.t.Helper()
	if !slices.Contains(r.events(), want) {
		r.t.Errorf("audited %q, want %q among them", r.events(), want)
	}
}

func names(tasks []task.Task) (list []string) {
	for _, t := range tasks {
		list = append(list, t.String())
	}
	return list
}

// inBubble runs a test with a clock of its own.
func inBubble(t *testing.T, f func(t *testing.T)) {
	t.Helper()
	synctest.Test(t, f)
}

// logBuffer keeps what the node logs. Safe for concurrent use.
type logBuffer struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (b *logBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

func (b *logBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}
