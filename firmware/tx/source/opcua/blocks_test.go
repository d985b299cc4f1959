package opcua

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gopcua/opcua/id"
	"github.com/gopcua/opcua/ua"

	"heliograph/firmware/opcua/uabinary"
)

func TestAValueThatTheLinkRefusesTurnsBad(t *testing.T) {
	const limit = 8 << 20
	follows(t, plant(), func(p *plc, link *port) {
		link.most = limit
		p.values[named("force")] = bytesAt(9<<20, time.Now()) // in the initial snapshot already
	}, func(t *testing.T, p *plc, link *port, s *Source) {
		v, _ := s.valueOf(link, named("force"))
		if v.Status != ua.StatusBadEncodingLimitsExceeded || v.SourceTime == 0 || !link.complete {
			t.Errorf("a value of 9 MiB in the initial snapshot: got %v at %d, complete %v; want "+
				"Bad_EncodingLimitsExceeded at the source's time, complete", v.Status, v.SourceTime,
				link.complete)
		}
		grown := time.Now()
		p.set(named("speed"), bytesAt(10<<20, grown))
		time.Sleep(2 * time.Second)
		synctest.Wait()
		v, _ = s.valueOf(link, named("speed"))
		if v.Status != ua.StatusBadEncodingLimitsExceeded || v.SourceTime != uabinary.Ticks(grown) {
			t.Errorf("a value that grew to 10 MiB: got %v at %d, want Bad_EncodingLimitsExceeded at %d",
				v.Status, v.SourceTime, uabinary.Ticks(grown))
		}
		if n := s.stats.RefusedValues.Load(); n < 2 {
			t.Errorf("got %d refused values counted, want both", n)
		}
		if err := s.Ready(); err == nil || !strings.Contains(err.Error(),
			"2, among them ns=1;s=force with 94") {
			t.Errorf("/readyz: got %v, want both nodes and a size", err)
		}
		p.set(named("speed"), int32At(7, grown))
		p.set(named("force"), int32At(7, grown))
		time.Sleep(2 * time.Second)
		synctest.Wait()
		if v, _ = s.valueOf(link, named("speed")); v.Status != 0 || s.Ready() != nil {
			t.Errorf("after it has shrunk: got %v and %v, want Good and ready", v.Status, s.Ready())
		}
	})
}

// TestBeyondTheBoundOfKeysTheBlockSaysWhy: no key is left for the status of a value.
func TestBeyondTheBoundOfKeysTheBlockSaysWhy(t *testing.T) {
	f := plant()
	for i := range 10 {
		node := named(fmt.Sprint(i))
		f.add(node, ua.NodeClassVariable, node.Text)
		f.refer(named("press"), id.HasComponent, node)
	}
	follows(t, f, func(p *plc, link *port) { link.keys = 5 }, func(t *testing.T, p *plc, link *port, s *Source) {
		said := 0
		for node, n := range link.nodes(t, s.model.Generation) {
			v, _ := s.valueOf(link, node)
			for _, a := range n.Attributes {
				if a.ID == ua.AttributeIDValue && v.Raw == nil {
					said++
				}
			}
		}
		if refused := len(s.arrived.absent()); said == 0 || said != refused ||
			s.stats.RefusedValues.Load() < uint64(refused) || !link.complete || s.Ready() == nil {
			t.Errorf("%d blocks' nodes say that there is no value, %d values were refused, complete %v, "+
				"ready %v; want each, complete and not ready", said, refused, link.complete, s.Ready())
		}
	})
}

func TestABlockThatIsTooLargeCrossesWithoutItsLargeAttributes(t *testing.T) {
	f := plant()
	noise := make([]byte, 100<<10)
	for i := range noise {
		noise[i] = byte(i * i >> 7 * 31)
	}
	f.nodes[named("press")].Attributes[2].Value = encoded(ua.NewLocalizedText(string(noise)))
	m, p := newModel(nil, 48<<20), &port{most: 4 << 10}
	browse(t, m, f, p)
	n, ok := p.nodes(t, m.Generation)[named("press")]
	if !ok || len(m.dirty) > 0 {
		t.Fatalf("the node crossed: %v, %d blocks are left; want it without its large attribute", ok,
			len(m.dirty))
	}
	for _, a := range n.Attributes {
		if a.ID == ua.AttributeIDDisplayName && len(a.Value) > 100 {
			t.Errorf("its DisplayName has %d bytes", len(a.Value))
		}
	}
}
