package main

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"heliograph/firmware/config"
	"heliograph/firmware/rx/memory"
)

func epochCommand() *cobra.Command {
	var path string
	accept := &cobra.Command{
		Use:   "accept [--config FILE | DIRECTORY]",
		Short: "Let the receiver believe its transmitter's epoch once, whatever it remembers",
		Long: "For a receiver that says epoch_regressed after its transmitter was replaced or flashed anew.\n" +
			"Run it where heliorx runs; DIRECTORY is the [state] directory of its configuration.",
		Args: cobra.MaximumNArgs(1),
	}
	accept.Flags().StringVar(&path, "config", "", "configuration `FILE` of heliorx")
	accept.RunE = failing(func(c *cobra.Command, args []string) error {
		dir, err := stateDirectory(path, args)
		if err != nil {
			return err
		}
		if err := memory.Accept(dir); err != nil {
			return err
		}
		fmt.Fprintln(c.OutOrStdout(), "accepted: the receiver believes the next epoch it hears, within a second, without a restart")
		return nil
	})
	return group("epoch", "Settle which run of the transmitter is believed", accept)
}

func stateDirectory(path string, args []string) (string, error) {
	switch {
	case len(args) == 1 && path == "":
		return args[0], nil
	case len(args) == 0 && path != "":
		cfg, _, err := config.LoadRX(path)
		return cfg.State, err
	}
	return "", errors.New("name the receiver: --config FILE, or its state directory")
}
