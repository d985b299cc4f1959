package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"heliograph/firmware/config"
	"heliograph/tools/bench"
	"heliograph/tools/progress"
)

func benchCommand() *cobra.Command {
	var only, baseline string
	var asJSON bool
	c := &cobra.Command{
		Use:   "bench",
		Short: "Measure throughput, latency and loss of the link on this machine",
		Args:  cobra.NoArgs,
		Example: "  heliograph bench\n" +
			"  heliograph bench --only overload --json",
	}
	c.Flags().StringVar(&only, "only", "", "measure only the group `NAME`")
	c.Flags().StringVar(&baseline, "baseline", "",
		"compare with a report in `FILE`; ends with code 1 when a figure is twice as bad")
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON instead of a table")
	c.RunE = failing(func(c *cobra.Command, _ []string) error {
		var r bench.Report
		err := during(c, "measuring", func(l *progress.Line) (err error) {
			r, err = bench.Run(only, func(name string) { l.Set("measuring %s", name) })
			return err
		})
		if err != nil {
			return err
		}
		if asJSON {
			e := json.NewEncoder(c.OutOrStdout())
			e.SetIndent("", "  ")
			err = e.Encode(r)
		} else {
			r.Table(c.OutOrStdout())
		}
		if err != nil || baseline == "" {
			return err
		}
		text, err := config.ReadFile(baseline)
		if err != nil {
			return err
		}
		var before bench.Report
		if err := json.Unmarshal(text, &before); err != nil {
			return fmt.Errorf("%s: %w", baseline, err)
		}
		if worse := r.Regressions(before); len(worse) > 0 {
			return errors.New("worse than the baseline: " + strings.Join(worse, "; "))
		}
		return nil
	})
	return c
}
