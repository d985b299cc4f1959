package node

import (
	"bytes"
	"sync"
	"testing"
	"testing/synctest"

	"heliograph/firmware/platform/report"
)

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
		refused := func(err error) { t.Error(err) }
		if err := report.Read(&to.buf, func(r report.Report) { got = append(got, r) }, refused); err != nil {
			t.Fatal(err)
		}
		if n := len(got); n < settledSeconds || n > settledSeconds+1 {
			t.Fatalf("got %d reports in %d s", n, settledSeconds)
		}
		last := got[len(got)-1]
		if !last.Snapshot.Ready || last.Snapshot.Pair != "press-hall" || last.Evidence.Steps["report"] < 2 {
			t.Errorf("got %+v", last)
		}
	})
}
