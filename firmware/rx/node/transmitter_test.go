package node

import (
	"bytes"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"heliograph/firmware/conduit/record"
	"heliograph/firmware/conduit/selfreport"
	"heliograph/firmware/platform/report"
	"heliograph/firmware/platform/status"
)

// A transmitter that was taken over may report anything: RX goes on, reports to PID 1 and has metrics.
func TestWhatATransmitterReportsIsBounded(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		r := newRig(t)
		n := r.run()
		defer r.end()
		r.transmit(7)
		long := strings.Repeat("w", maxKey)
		entries := []string{"certificate/\xff\xfe", "expires 2030-01-01", "certificate/" + long, "expires 2030-01-01",
			"source/\xff", "{}", "source/" + long, "{}"}
		for i := range 300 {
			entries = append(entries, fmt.Sprintf("certificate/opcua user of channel-%d", i), "expires 2030-01-01",
				fmt.Sprintf("source/channel-%d", i), `{"protocol":"mqtt"}`,
				fmt.Sprintf("audit/%0*d", i+2, 1), auditMessage(1), fmt.Sprint("key-", i), "value")
		}
		r.heartbeat(time.Hour)
		r.state(record.Gateway, entries...)
		synctest.Wait()
		got := n.transmitter()
		if !got.complete || len(got.Sources) != maxSources || len(got.Certificates) != maxCertificates ||
			len(got.values) != maxValues || len(got.Audit) > 16 {
			t.Fatalf("got %d sources, %d certificates, %d values, %d events, complete %t", len(got.Sources),
				len(got.Certificates), len(got.values), len(got.Audit), got.complete)
		}
		s := n.Snapshot()
		if c := s.Channels["log"]; len(c.SourceReason) > 1000 {
			t.Errorf("got the reason %q", c.SourceReason)
		}
		server := status.Server{Snapshot: n.Snapshot, Role: n.Ready}
		if _, err := server.Metrics().Gather(); err != nil {
			t.Errorf("metrics: %v", err)
		}
		full := n.Report()
		line := full.Append(nil)
		taken := 0
		err := report.Read(bytes.NewReader(line), func(report.Report) { taken++ }, func(err error) { t.Error(err) })
		if err != nil && err != io.EOF || taken != 1 {
			t.Errorf("report: got %d, %v", taken, err)
		}
	})
}

func TestWhyRecordsAreMissedIsBounded(t *testing.T) {
	tx := transmitter{values: map[string]string{}}
	tx.addEntry(selfreport.Entry{Key: "source/cell",
		Value: `{"protocol":"mqtt","missed":1,"missed_reason":"` + strings.Repeat("w", 3000) + `"}`})
	if n, what := tx.missed("cell"); n == nil || *n != 1 || len(what) != maxValue {
		t.Errorf("got %v, %d bytes", n, len(what))
	}
}
