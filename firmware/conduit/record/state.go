package record

// SourceState is the state of a channel's source as totals carry it.
type SourceState uint8

// The states of a source.
const (
	SourceConnecting SourceState = iota
	SourceUp
	SourceDown
	sourceStates
)

// String returns "connecting", "up" or "down", the words of /status.json.
func (s SourceState) String() string {
	switch s {
	case SourceConnecting:
		return "connecting"
	case SourceUp:
		return "up"
	}
	return "down"
}
