package e2e

import (
	"log/slog"
	"strings"
	"testing"

	"github.com/gopcua/opcua/ua"

	"heliograph/ci/await"
	"heliograph/ci/tutorial"
	"heliograph/firmware/opcua/client"
	"heliograph/firmware/opcua/pki"
	"heliograph/firmware/opcua/rawvalue"
	simulated "heliograph/tools/plant"
)

// TestTheTutorialLeadsToAMirror runs what a newcomer copies, with a client in place of UaExpert.
func TestTheTutorialLeadsToAMirror(t *testing.T) {
	t.Parallel()
	blocks := tutorial.Blocks(t, "../../tools/release/tutorial.md", "## 2.", "## 9.")
	if len(blocks) != 11 {
		t.Fatalf("the tutorial has %d blocks after the first section, want 11: say here what each of them does",
			len(blocks))
	}
	n := tutorial.Begin(t, t.TempDir(), programs)
	for _, block := range blocks[:4] { // the plant, both configurations, both roles, ready
		n.Does(block)
	}
	store, err := pki.Open(pki.Config{Directory: t.TempDir(), Log: slog.New(slog.DiscardHandler),
		Application: pki.Application{Name: "UaExpert", URI: "urn:it:UaExpert", Organization: "test"}})
	if err != nil {
		t.Fatal(err)
	}
	own := n.Does(blocks[4])
	cfg := client.Config{Endpoint: "opc.tcp://127.0.0.1:" + n.Ports["4840"], Policy: "Basic256Sha256",
		Mode: ua.MessageSecurityModeSignAndEncrypt, ApplicationName: "UaExpert", Store: store,
		User: client.User{Name: "ann", Password: "choose-another"}}
	if _, err := client.Connect(t.Context(), cfg); err == nil {
		t.Fatal("an unknown client was let in")
	}
	for _, e := range store.List() {
		if e.Kind != pki.KindRejected {
			continue
		}
		if !strings.Contains(own, e.Thumbprint) {
			t.Errorf("cert show prints %s, want the thumbprint %s that the client saw", own, e.Thumbprint)
		}
		if _, err := store.Trust(e.Thumbprint, false); err != nil {
			t.Fatal(err)
		}
	}
	_, _ = client.Connect(t.Context(), cfg) // the mirror refuses, and keeps the certificate
	thumbprint := pki.Thumbprint(store.Own().Certificate.Raw)
	if list := n.Does(blocks[5]); !strings.Contains(list, "rejected  "+thumbprint) {
		t.Fatalf("trust list prints %s, want %s as rejected", list, thumbprint)
	}
	n.Does(strings.ReplaceAll(blocks[6], "THUMBPRINT", thumbprint[:8]))
	read := func() ua.StatusCode { return readTag(t, cfg) }
	await.True(t, "good values at the mirror", func() bool { return read() == ua.StatusOK })
	n.Does(blocks[7])
	await.True(t, "uncertain values while TX is stopped", func() bool { return read()&0xC0000000 == 0x40000000 })
	n.Does(blocks[8])
	await.True(t, "good values again", func() bool { return read() == ua.StatusOK })
	n.Does(strings.Replace(blocks[9], "--minutes 1 ", "--minutes 0.1 ", 1))
	n.Does(blocks[10])
}

// readTag returns the status of a value of the simulated line, read in a session of its own.
func readTag(t *testing.T, cfg client.Config) ua.StatusCode {
	s, err := client.Connect(t.Context(), cfg)
	if err != nil {
		return ua.StatusBadServerNotConnected
	}
	defer s.Close()
	code := ua.StatusBadNoData
	if err := s.Read(t.Context(), []client.ReadItem{{Node: simulated.Tag(0), Attribute: ua.AttributeIDValue}}, 0,
		func(_ int, dv rawvalue.DataValue) { code = dv.Status }); err != nil {
		return ua.StatusBadServerNotConnected
	}
	return code
}
