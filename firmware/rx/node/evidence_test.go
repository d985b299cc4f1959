package node

import (
	"bytes"
	"encoding/json"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"heliograph/firmware/conduit/record"
	"heliograph/firmware/config"
	"heliograph/firmware/platform/report"
	"heliograph/firmware/rx/sink"
)

func TestEvidenceNamesWhatIsDownAndWhatIsAwaited(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		r := newRig(t)
		n := r.run()
		defer r.end()
		time.Sleep(3 * time.Second)
		synctest.Wait()
		e := n.Report().Evidence
		if e.LinkLost != "link: nothing received from the transmitter yet" || e.Waiting == "" || len(e.Down) != 0 ||
			e.Steps["board"] == 0 || e.Steps["link"] == 0 {
			t.Errorf("before the first frame: got %+v", e)
		}

		r.transmit(7)
		r.everything()
		synctest.Wait()
		if e = n.Report().Evidence; e.LinkLost != "" || e.Waiting != "" || len(e.Down) != 0 || e.Damage != 0 {
			t.Errorf("complete: got %+v", e)
		}

		r.sinks["cell"].set(sink.Connecting, "connection refused")
		down := record.Totals{Channel: record.ChannelID("log"), State: record.SourceDown, Reason: "no sender"}
		r.record(record.KindTotals, down.Append(nil))
		synctest.Wait()
		want := []string{"mqtt sink cell connecting: connection refused", "log: source down: no sender"}
		if e = n.Report().Evidence; !slices.Equal(e.Down, want) {
			t.Errorf("got %q, want %q", e.Down, want)
		}
	})
}

func TestTheClockIsTheTransmittersWhileTheLinkDelivers(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		r := newRig(t)
		n := r.run()
		defer r.end()
		if got := n.Report().Clock; got != (report.Clock{}) {
			t.Errorf("before the first heartbeat: got %+v", got)
		}
		r.transmit(7)
		r.pass(2)
		if got, want := n.Report().Clock, (report.Clock{Number: 2, OffsetSeconds: 3600, Source: "link"}); got != want {
			t.Errorf("got %+v, want %+v", got, want)
		}
		time.Sleep(10 * time.Second)
		if got := n.Report().Clock; got != (report.Clock{}) {
			t.Errorf("a silent link: got %+v", got)
		}
	})
	inBubble(t, func(t *testing.T) {
		r := newRig(t, func(c *config.RX) { c.Time = []string{"127.0.0.1:1"} }) // does not answer
		n := r.run()
		defer r.end()
		r.transmit(7)
		r.pass(2)
		if got := n.Report().Clock; got.Source == "link" {
			t.Errorf("with time servers: got %+v", got)
		}
	})
}

// lines collects what is written.
type lines struct{ written chan []byte }

func (l lines) Write(b []byte) (int, error) {
	l.written <- bytes.Clone(b)
	return len(b), nil
}

func TestReportsGoToPID1EachSecond(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		r := newRig(t)
		out := lines{make(chan []byte, 100)}
		r.cfg.Reports = out
		r.run()
		time.Sleep(2500 * time.Millisecond)
		r.end()
		if got := len(out.written); got != 3 {
			t.Errorf("got %d reports in 2.5 s, want 3", got)
		}
		var got report.Report
		if err := json.Unmarshal(<-out.written, &got); err != nil {
			t.Fatal(err)
		}
		if got.Snapshot.Role != "rx" || got.Snapshot.Ready || len(got.Snapshot.Reasons) != 3 {
			t.Errorf("got %+v, want three reasons", got.Snapshot)
		}
	})
}
