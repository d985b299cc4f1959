package opcua

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/gopcua/opcua/id"
)

const callKind = id.CallRequest_Encoding_DefaultBinary

// TestRefreshesThatOverflowComeLessOften: a server has more conditions than its queue takes.
func TestRefreshesThatOverflowComeLessOften(t *testing.T) {
	states := map[string]bool{"stays": true, "absent": true}
	quirks := func(p *plc, _ *port) {
		p.refreshes(t, states)
		p.overflows = true
		p.delays(100*time.Millisecond, callKind)
	}
	follows(t, alarms(), quirks, func(t *testing.T, p *plc, link *port, s *Source) {
		before := link.puts
		time.Sleep(9 * time.Minute)
		synctest.Wait()
		if n := p.Count(callKind); n < 3 || n > 10 {
			t.Errorf("%d refreshes in nine minutes, want a few", n)
		}
		if got := link.puts - before; got != 0 {
			t.Errorf("%d records of what has not changed", got)
		}
		p.quirk(func() {
			p.overflows = false
			delete(states, "absent")
		})
		time.Sleep(30 * time.Minute)
		synctest.Wait()
		if len(s.known) != 1 || len(link.ended) != 1 {
			t.Errorf("%d are retained, %d ended; want one, and one", len(s.known), len(link.ended))
		}
	})
}

// TestARefreshThatIsRefusedWhileOneIsInProgress is asked for again.
func TestARefreshThatIsRefusedWhileOneIsInProgress(t *testing.T) {
	states := map[string]bool{"stays": true, "absent": true}
	follows(t, alarms(), func(p *plc, _ *port) { p.refreshes(t, states) },
		func(t *testing.T, p *plc, link *port, s *Source) {
			p.quirk(func() {
				p.inProgress = 1
				delete(states, "absent")
			})
			s.Browse() // which ends with a refresh
			time.Sleep(20 * time.Second)
			synctest.Wait()
			if len(s.known) != 1 || len(link.ended) != 1 {
				t.Errorf("%d are retained, %d ended; want one, and one", len(s.known), len(link.ended))
			}
		})
}
