package main

import (
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"heliograph/tools/console"
)

// failedCheck is how a line of the self-test begins that says what is wrong. Package selftest
// is for boards alone, so it is not imported.
const failedCheck = "FAIL"

func selftestCommand() *cobra.Command {
	var asJSON bool
	c := &cobra.Command{
		Use:   "selftest [DEVICE]",
		Short: "Have a board test itself, through its serial console",
		Long: "The board checks whether its link is open in one direction, its role sits in its sandbox, and\n" +
			"LED, watchdog, clock and card are what the image expects. It disturbs nothing. Without DEVICE it\n" +
			"takes the one USB serial adapter there is.",
		Example: "  heliograph selftest\n" +
			"  heliograph selftest /dev/ttyUSB0",
		Args: cobra.MaximumNArgs(1),
		RunE: failing(func(c *cobra.Command, args []string) error {
			device, err := consoleDevice(args)
			if err != nil {
				return err
			}
			port, err := console.Open(device)
			if err != nil {
				return err
			}
			defer port.Close()
			bundle, err := askBoard(c, port, device)
			if err != nil {
				return err
			}
			results, err := selftestSection(string(bundle))
			if err != nil {
				return err
			}
			if asJSON {
				err = printObject(c.OutOrStdout(), map[string]any{"checks": boardChecks(results)})
			} else {
				_, err = fmt.Fprint(c.OutOrStdout(), results)
			}
			if err != nil {
				return err
			}
			if strings.Contains("\n"+results, "\n"+failedCheck) {
				return errors.New("the board fails a check")
			}
			return nil
		}),
	}
	jsonFlag(c, &asJSON)
	return c
}

// boardCheck is one of a self-test, for a program.
type boardCheck struct {
	Check   string `json:"check"`
	Verdict string `json:"verdict"` // "pass", "fail" or "not proved"
	Found   string `json:"found"`
}

// boardChecks reads the lines of a self-test, without the sum at their end.
func boardChecks(results string) []boardCheck {
	checks := []boardCheck{}
	for line := range strings.Lines(results) {
		verdict, rest, lined := strings.Cut(strings.TrimSpace(line), "  ")
		check, found, named := strings.Cut(strings.TrimSpace(rest), ": ")
		if lined && named {
			checks = append(checks, boardCheck{check, strings.ToLower(verdict), found})
		}
	}
	return checks
}

// selftestSection returns the self-test's lines of a diagnostics bundle.
func selftestSection(bundle string) (string, error) {
	_, rest, found := strings.Cut(bundle, "\n== self-test\n")
	if !found {
		return "", errors.New("the board's image has no self-test: write its card again with a newer one")
	}
	results, _, _ := strings.Cut(rest, "\n== ")
	return strings.TrimSpace(results) + "\n", nil
}
