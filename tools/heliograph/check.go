package main

import (
	"fmt"
	"os"

	"github.com/pelletier/go-toml/v2"
	"github.com/spf13/cobra"

	"heliograph/firmware/config"
	"heliograph/firmware/platform/role"
)

func checkCommand() *cobra.Command {
	var side string
	c := &cobra.Command{
		Use:   "check FILE",
		Short: "Check a configuration file, without any side effect",
		Args:  cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			path := args[0]
			switch side {
			case "":
				side = guessSide(path)
			case "tx", "rx":
			default:
				return fmt.Errorf("--role %q must be tx or rx", side)
			}
			var warnings []config.Warning
			var err error
			if side == "rx" {
				_, warnings, err = config.LoadRX(path)
			} else {
				_, warnings, err = config.LoadTX(path)
			}
			fmt.Fprintf(c.ErrOrStderr(), "checked as the file of %s\n",
				map[string]string{"tx": "heliotx", "rx": "heliorx"}[side])
			if code := role.Report(path, warnings, err, c.OutOrStdout(), c.ErrOrStderr()); code != role.OK {
				return exitError(code)
			}
			return nil
		},
	}
	c.Flags().StringVar(&side, "role", "", "tx or rx (default: found out from the content)")
	return c
}

// guessSide finds out which board a file is for, from the keys that only one
// of the two has. In doubt it is "tx"; what is wrong then comes out as faults.
func guessSide(path string) string {
	text, err := os.ReadFile(path)
	if err != nil {
		return "tx" // loading says why
	}
	var file struct {
		StaleAfter any `toml:"stale_after"`
		OPCUA      any `toml:"opcua"`
		MQTT       any `toml:"mqtt"`
		Syslog     any `toml:"syslog"`
	}
	if toml.Unmarshal(text, &file) != nil {
		return "tx"
	}
	tx, rx := 0, 0
	if file.StaleAfter != nil {
		rx++
	}
	count := func(tables any, txKeys, rxKeys []string) {
		list, _ := tables.([]any)
		for _, one := range list {
			table, _ := one.(map[string]any)
			tx += among(table, txKeys)
			rx += among(table, rxKeys)
		}
	}
	count(file.OPCUA, []string{"endpoint"}, []string{"listen"})
	count(file.MQTT, []string{"topics", "class"}, []string{"listen", "topic_prefix", "spool"})
	count(file.Syslog, []string{"listen"}, []string{"forward"})
	if rx > tx {
		return "rx"
	}
	return "tx"
}

// among counts the keys that the table holds.
func among(table map[string]any, keys []string) int {
	n := 0
	for _, key := range keys {
		if _, ok := table[key]; ok {
			n++
		}
	}
	return n
}
