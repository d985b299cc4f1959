package main

import (
	"github.com/spf13/cobra"

	"heliograph/tools/progress"
)

// during shows on the terminal, if standard error is one, what a command does that may take
// long. What do writes to the terminal meanwhile goes through the line's Writer.
func during(c *cobra.Command, what string, do func(l *progress.Line) error) error {
	l := progress.Start(c.ErrOrStderr(), what)
	defer l.End()
	return do(l)
}
