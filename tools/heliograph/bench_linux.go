package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
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
	measure := failing(func(c *cobra.Command, _ []string) error {
		before, err := readBaseline(baseline)
		if err != nil {
			return err
		}
		var r bench.Report
		err = during(c, "measuring", func(l *progress.Line) (err error) {
			r, err = bench.Run(c.Context(), only, func(name string) { l.Set("measuring %s", name) })
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
		if err != nil {
			return err
		}
		if worse := r.Regressions(before); len(worse) > 0 {
			return errors.New("worse than the baseline: " + strings.Join(worse, "; "))
		}
		return nil
	})
	c.RunE = func(c *cobra.Command, args []string) error {
		if only != "" && !slices.Contains(bench.Groups(), only) {
			return fmt.Errorf("--only %q must be one of %s", only, strings.Join(bench.Groups(), ", "))
		}
		return measure(c, args)
	}
	return c
}

// readBaseline reads a report, an empty one for no path.
func readBaseline(path string) (r bench.Report, err error) {
	if path == "" {
		return r, nil
	}
	text, err := config.ReadFile(path)
	if err != nil {
		return r, fmt.Errorf("--baseline: %w", err)
	}
	if err := json.Unmarshal(text, &r); err != nil {
		return r, fmt.Errorf("--baseline %s is not a report of \"heliograph bench --json\": %w", path, err)
	}
	return r, nil
}
