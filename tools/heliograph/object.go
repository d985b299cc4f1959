package main

import (
	"encoding/json"
	"io"

	"github.com/spf13/cobra"
)

// jsonFlag adds --json to a command that a script may ask. What it prints is one object:
// names in lower case with "_", times in the form of RFC 3339, empty lists in place of
// null, and no key for an unknown value. Errors stay lines on standard error, and exit
// codes are the same.
func jsonFlag(c *cobra.Command, asJSON *bool) {
	c.Flags().BoolVar(asJSON, "json", false, "print JSON, for a program")
}

func printObject(w io.Writer, object any) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	e.SetEscapeHTML(false)
	return e.Encode(object)
}

// listOf is a list that is never null.
func listOf[From, To any](from []From, convert func(From) To) []To {
	to := make([]To, 0, len(from))
	for _, one := range from {
		to = append(to, convert(one))
	}
	return to
}
