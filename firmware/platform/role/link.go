package role

import (
	"fmt"
	"os"
	"strconv"
)

// linkVariable names the environment variable by which whoever starts a role hands
// it a link that is open already: on a board PID 1 does, so that the role itself can
// neither open a medium nor turn one round.
const linkVariable = "HELIOGRAPH_LINK_FD"

// HandedLink returns the descriptor of a link that was handed down; ok is false
// where the role is to open its medium itself.
func HandedLink() (descriptor int, ok bool, err error) {
	s, ok := os.LookupEnv(linkVariable)
	if !ok {
		return 0, false, nil
	}
	n, err := strconv.Atoi(s)
	if err != nil || n < 3 {
		return 0, false, fmt.Errorf("%s is %q: want the number of an open descriptor, 3 or above", linkVariable, s)
	}
	return n, true, nil
}
