package opcua

import (
	"testing"

	"github.com/gopcua/opcua/ua"

	"heliograph/firmware/opcua/pki"
	"heliograph/firmware/tx/source"
)

func TestReasonNamesWhatIsAcceptedOfTheCertificate(t *testing.T) {
	p := &port{}
	s := bare(p)
	expired := pki.Overlooked{Code: ua.StatusBadCertificateTimeInvalid, Fact: "expired 2024-05-01"}
	host := pki.Overlooked{Code: ua.StatusBadCertificateHostNameInvalid, Fact: "does not name host plc"}
	const both = `server certificate expired 2024-05-01 and does not name host plc, ` +
		`accepted by tolerate = ["dates", "host_name"]`
	for _, step := range []struct {
		do   func()
		want string
	}{
		{func() { s.notice(certificateNotice, overlooked(nil)); s.report(source.Up, "") }, ""},
		{func() { s.notice(certificateNotice, overlooked([]pki.Overlooked{expired})) },
			`connected; server certificate expired 2024-05-01, accepted by tolerate = ["dates"]`},
		{func() { s.notice(certificateNotice, overlooked([]pki.Overlooked{expired, host})) },
			"connected; " + both},
		{func() { s.setTrouble(noEvents, "none") },
			"events: none; " + both},
		{func() { s.setTrouble(noEvents, ""); s.notice(certificateNotice, "") }, ""},
	} {
		if step.do(); p.reported != source.Up || p.reason != step.want {
			t.Errorf("got %v, %q; want up, %q", p.reported, p.reason, step.want)
		}
	}
	s.notice(certificateNotice, "something")
	s.complete = true
	if err := s.Ready(); err != nil {
		t.Errorf("got %v, want a source that is ready", err)
	}
}
