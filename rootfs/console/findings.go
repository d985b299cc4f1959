package console

import (
	"fmt"
	"strings"

	"heliograph/firmware/platform/diagnosis"
)

// unseen is what no board finds out by itself.
const unseen = "A board does not see whether the fibre is in the right socket, what a server lets a user read, nor " +
	"the other board's files: \"heliograph check TX-FILE RX-FILE\" on a PC compares them."

// findings says what is wrong with the board as far as it knows, and what cures it.
func findings(s Status) string {
	snap := s.Report.Snapshot
	if len(s.Faults) > 0 {
		snap.Refused = s.Faults
	}
	site := diagnosis.Site{Role: s.Role}
	list := site.Snapshot(&snap, s.Now)
	if s.Rejected > 0 {
		list.Add(diagnosis.Finding{Level: diagnosis.Warning, Code: "rejected", Where: "certificates",
			Cause: fmt.Sprintf("%d were rejected",
				s.Rejected), Cure: "key c shows them: trust those that are meant to connect"})
	}
	switch {
	case s.Cause.Code != "" && len(s.Faults) == 0:
		list.Add(site.Ended(s.Reason, s.Cause))
	case snap.Role == "" && len(s.Faults) == 0:
		list.Add(diagnosis.Finding{Level: diagnosis.Fault, Code: "no-report", Where: "role",
			Cause: "it has not reported " +
				"yet: " + or(s.Reason), Cure: "wait for a minute; then key l shows the log"})
	}
	if len(list) == 0 {
		return "No finding. " + unseen
	}
	return strings.Join(list.Lines(), "\n") + "\n" + unseen
}
