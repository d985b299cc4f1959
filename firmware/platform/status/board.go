package status

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"heliograph/firmware/platform/machine"
	"heliograph/firmware/platform/release"
)

// MaxClients is how many clients are shown.
const MaxClients = 50

// Board is the machine of one role. What is not known is left out.
type Board struct {
	Role       string `json:"role"`                  // "tx" or "rx"
	Version    string `json:"version"`               // of the program
	Clock      string `json:"clock,omitempty"`       // in words
	Release    string `json:"release,omitempty"`     // that a board runs
	LastUpdate string `json:"last_update,omitempty"` // of a board: what became of it, and when
	machine.Facts
}

// SetRelease says which release the board runs, and what became of the last update.
func (b *Board) SetRelease(r *release.Running) {
	if r == nil || r.Version == 0 {
		return
	}
	b.Release = named(r.Version, r.Name)
	if r.OnTrial {
		b.Release += ", on trial"
	}
	if o := r.Update; o != nil {
		b.LastUpdate = fmt.Sprintf("%s %s, %s", named(o.Version, o.Name), o.Result.Words(),
			o.Time.UTC().Format("2006-01-02 15:04 UTC"))
		if o.Reason != "" {
			b.LastUpdate += ": " + o.Reason
		}
	}
}

// named is a release by its number, and its name where that says more.
func named(version uint64, name string) string {
	if name == "" || name == fmt.Sprint(version) || name == fmt.Sprint("v", version) {
		return fmt.Sprint(version)
	}
	return fmt.Sprintf("%d (%s)", version, name)
}

// Client is one that is connected to a server of this role.
type Client struct {
	Channel     string    `json:"channel"`               // of the server
	Protocol    string    `json:"protocol"`              // "opcua" or "mqtt"
	Address     string    `json:"address"`               // where it connects from
	User        string    `json:"user,omitempty"`        // that logged in
	Application string    `json:"application,omitempty"` // as it calls itself
	Since       time.Time `json:"since"`                 // when it connected
}

// SetClients shows the newest clients, newest first.
func (s *Snapshot) SetClients(all []Client) {
	slices.SortFunc(all, func(a, b Client) int {
		return cmp.Or(b.Since.Compare(a.Since), cmp.Compare(a.Channel, b.Channel), cmp.Compare(a.Address, b.Address))
	})
	s.Clients = all[:min(len(all), MaxClients)]
	s.ClientsMore = len(all) - len(s.Clients)
}
