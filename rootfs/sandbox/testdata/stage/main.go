// Command stage is what PID 1 is to a role: the program that the sandbox starts again. It is
// built without C, as on a board; a test with the race detector is not, and C's threads
// abort when they are refused one.
package main

import "heliograph/rootfs/sandbox"

func main() { sandbox.Main() }
