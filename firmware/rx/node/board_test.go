package node

import (
	"net/netip"
	"reflect"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"heliograph/firmware/conduit/record"
	"heliograph/firmware/conduit/selfreport"
	"heliograph/firmware/platform/machine"
	"heliograph/firmware/platform/status"
	"heliograph/firmware/rx/sink"
)

func TestTheTransmittersBoardIsShown(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		r := newRig(t)
		n := r.run()
		defer r.end()
		r.transmit(7)
		r.heartbeat(time.Hour)
		report := selfreport.Report{Version: "1.2.2", Clock: "ntp", Temperature: status.Of(48),
			Board: &selfreport.Board{Name: "tx-1", Supply: machine.Fine, Card: strings.Repeat("w", 1000), Release: "8",
				UptimeSeconds: 60, LEDPattern: "1 flash", LEDMeans: "loses frames"}}
		var entries []string
		for _, e := range report.Entries() {
			entries = append(entries, e.Key, e.Value)
		}
		r.state(record.Gateway, entries...)
		synctest.Wait()
		boards := n.Snapshot().Boards
		want := status.Board{Role: "tx", Version: "1.2.2", Clock: "ntp", Release: "8", Facts: machine.Facts{
			Name: "tx-1", UptimeSeconds: 60, Temperature: status.Of(48.0), Supply: machine.Fine,
			Card: strings.Repeat("w", maxFact), LED: &machine.LED{Pattern: "1 flash", Means: "loses frames"}}}
		if len(boards) != 2 || !reflect.DeepEqual(boards[0], want) {
			t.Fatalf("got %+v, want %+v before this board", boards, want)
		}
		if got := boards[1]; got.Role != "rx" || !strings.HasPrefix(got.Clock, "link, off by ") {
			t.Errorf("this board: got %+v", got)
		}
	})
}

// serving is a sink with a server.
type serving struct {
	*fakeSink
	clients []sink.Client
}

func (s serving) Clients() []sink.Client { return s.clients }

func TestClientsAreShownNewestFirst(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		r := newRig(t)
		n := r.open()
		defer n.Close()
		var all []sink.Client
		for i := range status.MaxClients + 2 {
			all = append(all, sink.Client{Address: netip.MustParseAddr("192.0.2.1"), User: "ann",
				Application: "UaExpert", Since: time.Now().Add(time.Duration(i) * time.Second)})
		}
		n.channels[0].sink = serving{r.sinks["cell"], all}
		s := n.Snapshot()
		want := status.Client{Channel: "cell", Protocol: "mqtt", Address: "192.0.2.1", User: "ann",
			Application: "UaExpert", Since: all[len(all)-1].Since.UTC()}
		if len(s.Clients) != status.MaxClients || s.ClientsMore != 2 || s.Clients[0] != want {
			t.Errorf("got %d and %d more, the first %+v; want %+v", len(s.Clients), s.ClientsMore, s.Clients[0], want)
		}
	})
}
