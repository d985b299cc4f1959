package record

import "testing"

func TestSourceStatesHaveTheWordsOfStatus(t *testing.T) {
	for state, want := range map[SourceState]string{
		SourceConnecting: "connecting", SourceUp: "up", SourceDown: "down", sourceStates: "down",
	} {
		if got := state.String(); got != want {
			t.Errorf("%d: got %q, want %q", state, got, want)
		}
	}
}
