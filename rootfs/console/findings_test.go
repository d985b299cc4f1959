package console

import (
	"strings"
	"testing"

	"heliograph/firmware/platform/cause"
	"heliograph/firmware/platform/status"
)

func TestFindingsAreShownWithTheirCures(t *testing.T) {
	refused := rx()
	refused.Faults = []string{"heliograph.toml:3: unknown key"}
	healthy := rx()
	healthy.Rejected, healthy.Report.Snapshot = 0, status.Snapshot{Role: "rx", Ready: true}
	down := rx()
	down.Report.Snapshot.Peers[0].Channel = "cell-1"
	down.Report.Snapshot.Peers[0].Cause = cause.Cause{Code: cause.ConnectionRefused}
	for name, c := range map[string]struct {
		status Status
		want   []string
	}{
		"a sink and a source that are down": {down, []string{"channel cell-1: no program listens at " +
			"mqtt://it-broker:1883", "cure: start the server there", "key c shows them"}},
		"a configuration that is refused": {refused, []string{"heliograph.toml:3: unknown key",
			"heliograph image configure"}},
		"a role that has not reported": {Status{Role: "tx", Reason: "starting"}, []string{"it has not reported yet: " +
			"starting", "key l"}},
		"a link that PID 1 cannot open": {Status{Role: "rx", Reason: "isolate: eth1 has the address 10.0.0.2/24",
			Cause: cause.Cause{Code: cause.InterfaceAddress}}, []string{"link: isolate: eth1 has the address",
			"set another interface in [link], or in network.toml"}},
		"a board that works": {healthy, []string{"No finding. A board does not see"}},
	} {
		t.Run(name, func(t *testing.T) {
			out := strings.Builder{}
			k := New(&fake{status: c.status}, &out)
			k.Key('f')
			k.Expire() // the terminal does not say its size
			words := func(s string) string { return strings.Join(strings.Fields(s), " ") }
			shown, bundle := words(out.String()), words(string(k.bundle()))
			for _, want := range c.want {
				if !strings.Contains(shown, want) || !strings.Contains(bundle, want) {
					t.Errorf("got no %q in\n%s\nor in the bundle", want, out.String())
				}
			}
		})
	}
}
