package main

import (
	"errors"
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"heliograph/firmware/config/pairkey"
)

func keyCommand() *cobra.Command {
	return group("key", "Make the key that a pair of boards shares", &cobra.Command{
		Use:   "new FILE",
		Short: "Write a new random key to FILE, which must not exist",
		Args:  cobra.ExactArgs(1),
		RunE: failing(func(c *cobra.Command, args []string) error {
			err := pairkey.Create(args[0], pairkey.New())
			if errors.Is(err, os.ErrExist) {
				return fmt.Errorf("%s exists already and stays as it is; move it away first when you mean to change the key", args[0])
			}
			if err != nil {
				return err
			}
			fmt.Fprintf(c.OutOrStdout(), "%s written; copy it to both boards and to nobody else\n", args[0])
			return nil
		}),
	})
}
