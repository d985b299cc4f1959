package e2e

import (
	"crypto/x509"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/gopcua/opcua/ua"

	"heliograph/ci/await"
	"heliograph/ci/rig"
)

// TestAServerWithAnOutdatedCertificateIsFollowedWithAWarning: its certificate expired
// days ago and names another host. Values cross where the configuration says so, and
// both ends say in words what was accepted.
func TestAServerWithAnOutdatedCertificateIsFollowedWithAWarning(t *testing.T) {
	certificate := map[string]any{"ago": 20 * 24, "dns": []string{"press.example"}, "ip": []string{}}
	p := startPlant(t, map[string]any{"tags": 3, "certificate": certificate})
	mirror := await.FreePort(t)
	_, rx := mirrorTables(p, mirror, false)
	tx := fmt.Sprintf("[[opcua]]\nchannel = \"plant\"\nendpoint = %q\ntolerate = [\"dates\", \"host_name\"]\n", p.url)
	g := newGateway(t, rough, tx, rx)
	g.Start()
	trustAll(t, g, "tx")
	g.Ready()
	c := &it{t: t, url: fmt.Sprintf("opc.tcp://127.0.0.1:%d", mirror)}
	c.connect()
	p.do(map[string]any{"do": "set", "name": "Tag1", "value": 7})
	c.sees("Tag1", 7, ua.StatusOK)
	own, err := x509.ParseCertificate(plantCertificate(t, g))
	if err != nil {
		t.Fatal(err)
	}
	expired := own.NotAfter.UTC().Format(time.DateOnly)
	want := "connected; server certificate expired " + expired +
		` and does not name host 127.0.0.1, accepted by tolerate = ["dates", "host_name"]`
	for _, role := range []*rig.Role{g.TX, g.RX} {
		await.NoError(t, "a warning in the status", func() error {
			if c := role.Channel("plant"); c.SourceState != "up" || c.SourceReason != want {
				return fmt.Errorf("source is %s, %q; want up, %q", c.SourceState, c.SourceReason, want)
			}
			return nil
		})
		if body, code, err := role.Get("/readyz"); code != http.StatusOK {
			t.Errorf("readyz: got %d %s %v, want 200: what is accepted is not a fault", code, body, err)
		}
		if page, _, err := role.Get("/"); !strings.Contains(page, "server certificate expired "+expired) {
			t.Errorf("the page does not show the warning (%v)", err)
		}
	}
}
