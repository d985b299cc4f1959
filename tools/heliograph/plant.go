package main

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"heliograph/tools/plant"
)

// plantRate is how often the tags change, a second.
const plantRate = 5

func plantCommand() *cobra.Command {
	var tags int
	c := &cobra.Command{
		Use:   "plant ADDRESS",
		Short: "Serve a simulated OPC UA server at ADDRESS, in place of a plant's",
		Long: "A press line with tags that change five times a second. Anyone who reaches ADDRESS may read it,\n" +
			"without security or user; nothing can be written. Ends at Ctrl-C.",
		Example: "  heliograph plant 127.0.0.1:4841\n" +
			"  heliograph plant --tags 1000 127.0.0.1:4841",
		Args: oneAddress("127.0.0.1:4841"),
	}
	c.Flags().IntVar(&tags, "tags", 10, "how many tags, 1 to 100000")
	serve := failing(func(c *cobra.Command, args []string) error {
		s, err := plant.NewServerAt(args[0], tags)
		if err != nil {
			return notListening(args[0], err)
		}
		defer s.Close()
		fmt.Fprintf(c.OutOrStdout(), "%s: a press line with %d tags; Ctrl-C ends it\n", s.Endpoint, tags)
		return plant.Run(c.Context(), plantRate, nil, nil, []*plant.Server{s})
	})
	c.RunE = func(c *cobra.Command, args []string) error {
		if tags < 1 || tags > 100000 {
			return errors.New("--tags: must be from 1 to 100000")
		}
		return serve(c, args)
	}
	return c
}
