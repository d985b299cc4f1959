package node

import (
	"log/slog"
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"heliograph/firmware/conduit/wire"
	"heliograph/firmware/config"
	"heliograph/firmware/tx/source"
)

func TestClassesOfChannels(t *testing.T) {
	for bulk, want := range map[bool]wire.Class{false: wire.LowLatency, true: wire.Bulk} {
		synctest.Test(t, func(t *testing.T) {
			c := testConfig(t)
			c.TX.MQTT[0].Bulk = bulk
			r := newRig(t, c)
			r.run(t, func() {
				settle()
				r.medium.received() // hellos, and the start of the gateway's channel
				if err := r.plant("cell-1").Put(source.Update{Payload: make([]byte, 1000), Event: true}); err != nil {
					t.Error(err)
				}
				time.Sleep(time.Millisecond)
				found := false
				for _, frame := range r.medium.received() {
					var h wire.Header
					h.Parse(frame)
					found = found || h.Kind == wire.Source && h.Class == want && len(frame) > 1000
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
