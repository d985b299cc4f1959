package e2e

import (
	"fmt"
	"strings"
	"testing"

	"github.com/gopcua/opcua/ua"

	"heliograph/ci/await"
	"heliograph/firmware/opcua/client"
	"heliograph/firmware/opcua/rawvalue"
)

// TestAValueLargerThanTheLinkCarriesIsBadAtTheMirror: one of 9 MiB from the start, and
// an Int32 that grows to 10 MiB, both larger than a record of the link.
func TestAValueLargerThanTheLinkCarriesIsBadAtTheMirror(t *testing.T) {
	t.Parallel()
	p := startPlant(t, map[string]any{"tags": 3})
	p.do(map[string]any{"do": "integers", "name": "Large", "count": 9 << 18})
	p.do(map[string]any{"do": "integers", "name": "Grows", "count": 0})
	mirror := await.FreePort(t)
	tx, rx := mirrorTables(p, mirror, false)
	g := newGateway(t, rough, tx, rx)
	g.Start()
	c := &it{t: t, url: fmt.Sprintf("opc.tcp://127.0.0.1:%d", mirror)}
	c.connect()
	status := func(name string, want ua.StatusCode) {
		t.Helper()
		await.NoError(t, fmt.Sprintf("%s is %v", name, want), func() (err error) {
			if c.s.Err() != nil {
				c.connect()
			}
			failed := c.s.Read(t.Context(), []client.ReadItem{{Node: tag(name), Attribute: ua.AttributeIDValue}}, 0,
				func(_ int, dv rawvalue.DataValue) {
					if dv.Status != want || dv.SourceTime == 0 {
						err = fmt.Errorf("got %v at %d", dv.Status, dv.SourceTime)
					}
				})
			if failed != nil {
				return failed
			}
			return err
		})
	}
	status("Large", ua.StatusBadEncodingLimitsExceeded)
	status("Grows", ua.StatusOK)
	p.do(map[string]any{"do": "integers", "name": "Grows", "count": 10 << 18})
	status("Grows", ua.StatusBadEncodingLimitsExceeded)
	ready := func() string { body, _, _ := g.TX.Get("/readyz"); return body }
	await.NoError(t, "both in /readyz", func() error {
		if body := ready(); !strings.Contains(body, "values that the link does not carry: 2") {
			return fmt.Errorf("got %q", body)
		}
		return nil
	})
	if body, _, _ := g.TX.Get("/metrics"); !strings.Contains(body, "heliograph_opcua_source_refused_values_total") {
		t.Error("/metrics does not count refused values")
	}
	for _, name := range []string{"Large", "Grows"} {
		if n := strings.Count(g.TX.Log(), "Plant."+name); n != 1 {
			t.Errorf("got %d lines about %s in the log, want 1", n, name)
		}
		p.do(map[string]any{"do": "integers", "name": name, "count": 0})
		status(name, ua.StatusOK)
	}
	g.Ready()
}
