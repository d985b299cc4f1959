// Package handover names the environment variables by which PID 1 of a board
// hands a role what the role cannot open itself: its link, its keys and the
// pipe for its reports, and the name of the board. A role that is started by hand
// has none of them.
//
//	HELIOGRAPH_BOARD=virt  board whose defaults complete the configuration
//	HELIOGRAPH_LINK_FD=3   descriptor of the link, open in the role's one direction
//	HELIOGRAPH_KEY_FD=4    descriptor of the pipe with the pair keys
//	HELIOGRAPH_REPORT=1    asks for reports on standard output
//	HELIOGRAPH_REFUSAL=F   alone: the configuration is refused; the role shows the
//	                       Refusal in file F, and does nothing else
//
// The package refuses the descriptors of standard input, output and error.
package handover

import (
	"fmt"
	"os"
	"strconv"
)

// The variables.
const (
	Board   = "HELIOGRAPH_BOARD"
	Link    = "HELIOGRAPH_LINK_FD"
	Keys    = "HELIOGRAPH_KEY_FD"
	Report  = "HELIOGRAPH_REPORT"
	Refused = "HELIOGRAPH_REFUSAL"
)

// firstDescriptor follows standard error.
const firstDescriptor = 3

// Setting returns the entry of an environment that sets a variable.
func Setting(variable string, value int) string { return fmt.Sprintf("%s=%d", variable, value) }

// Descriptor returns the open descriptor that a variable names; ok is false if
// the variable is not set.
func Descriptor(variable string) (descriptor int, ok bool, err error) {
	s, ok := os.LookupEnv(variable)
	if !ok {
		return 0, false, nil
	}
	n, err := strconv.Atoi(s)
	if err != nil || n < firstDescriptor {
		return 0, false, fmt.Errorf("%s is %q: want the number of an open descriptor, %d or above",
			variable, s, firstDescriptor)
	}
	return n, true, nil
}
