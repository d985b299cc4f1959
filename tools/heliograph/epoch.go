package main

import (
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"heliograph/firmware/config"
	"heliograph/firmware/platform/acceptance"
	"heliograph/firmware/tx/epoch"
)

func epochCommand() *cobra.Command {
	return group("epoch", "Decide which run of the transmitter a receiver accepts", epochShow(), epochAccept())
}

// refusedRun is a run that a receiver refuses, for a program.
type refusedRun struct {
	Run       string    `json:"run"`
	Epoch     uint64    `json:"epoch"`
	LastFrame time.Time `json:"last_frame"`
}

func epochShow() *cobra.Command {
	var path string
	var asJSON bool
	c := &cobra.Command{
		Use:   "show --config FILE",
		Short: "Show the runs of its transmitter that a receiver refuses, or a transmitter's own run",
		Long: "For a receiver: the runs that it refuses and that \"heliograph epoch accept\" makes it accept.\n" +
			"Runs that it has received before are replays, and are not shown. For a transmitter: the number\n" +
			"of its run; its log has the ID.",
		Example: "  heliograph epoch show --config rx.toml",
		Args:    cobra.NoArgs,
	}
	c.Flags().StringVar(&path, "config", "", "configuration `FILE` of heliorx or heliotx")
	_ = c.MarkFlagRequired("config")
	jsonFlag(c, &asJSON)
	c.RunE = failing(func(c *cobra.Command, _ []string) error {
		h, err := holderOf(path)
		if err != nil {
			return err
		}
		if h.role == "heliotx" {
			number, err := epoch.Kept(h.state)
			switch {
			case err != nil:
				return err
			case asJSON:
				return printObject(c.OutOrStdout(), map[string]any{"role": "tx", "epoch": number})
			}
			fmt.Fprintf(c.OutOrStdout(), "epoch %d\n", number)
			return nil
		}
		runs, err := acceptance.Refused(h.state)
		if err != nil {
			return err
		}
		if asJSON {
			object := map[string]any{"role": "rx", "refused": listOf(runs, func(r acceptance.Run) refusedRun {
				return refusedRun{r.ID(), r.Epoch, r.LastFrame}
			})}
			if id := acceptance.Accepted(h.state); id != "" {
				object["accepted"] = id
			}
			return printObject(c.OutOrStdout(), object)
		}
		if len(runs) == 0 {
			fmt.Fprintln(c.OutOrStdout(), "no run is refused")
		}
		for _, r := range runs {
			fmt.Fprintf(c.OutOrStdout(), "%s  refused, epoch %d, received %s\n", r.ID(), r.Epoch,
				r.LastFrame.Format(time.DateTime+" UTC"))
		}
		if id := acceptance.Accepted(h.state); id != "" {
			fmt.Fprintf(c.OutOrStdout(), "%s  accepted as soon as it is received again\n", id)
		}
		return nil
	})
	return c
}

func epochAccept() *cobra.Command {
	var path, id string
	accept := &cobra.Command{
		Use:   "accept [--config FILE | DIRECTORY] [--run ID]",
		Short: "Let the receiver accept one run of its transmitter that it refuses",
		Long: "For a receiver that says epoch_regressed after its transmitter was replaced or flashed again.\n" +
			"\"heliograph epoch show\" lists what it refuses; --run names one, and can be left out when there\n" +
			"is only one. No other run is accepted. Run it where heliorx runs; DIRECTORY is the [state]\n" +
			"directory of its configuration.",
		Example: "  heliograph epoch accept --config rx.toml --run 1-9f03ab21\n" +
			"  heliograph epoch accept /var/lib/heliograph/heliorx",
		Args: cobra.MaximumNArgs(1),
	}
	accept.Flags().StringVar(&path, "config", "", "configuration `FILE` of heliorx")
	accept.Flags().StringVar(&id, "run", "", "`ID` of the run, as \"heliograph epoch show\" has it")
	accept.RunE = failing(func(c *cobra.Command, args []string) error {
		dir, err := stateDirectory(path, args)
		if err != nil {
			return err
		}
		run, err := acceptance.Accept(dir, id)
		if err != nil {
			return err
		}
		fmt.Fprintf(c.OutOrStdout(), "accepted: the receiver admits run %s within a second of its first frame, "+
			"without a restart\n", run.ID())
		return nil
	})
	return accept
}

func stateDirectory(path string, args []string) (string, error) {
	switch {
	case len(args) == 1 && path == "":
		return args[0], nil
	case len(args) == 0 && path != "":
		cfg, _, err := config.LoadRX(path)
		return cfg.State, err
	}
	return "", misuse{errors.New("name the receiver: --config FILE, or its state directory")}
}
