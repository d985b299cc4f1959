package main

import (
	"cmp"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"heliograph/boards"
	"heliograph/firmware/config"
	"heliograph/firmware/platform/role"
	"heliograph/tools/settings"
)

// checked are the options of check.
type checked struct {
	side, board, network string
	json                 bool
	as                   string // what the files were taken for, in words
}

func checkCommand() *cobra.Command {
	var o checked
	c := &cobra.Command{
		Use:   "check FILE | check TX-FILE RX-FILE",
		Short: "Check a configuration file, or the two of a pair, without any side effect",
		Long: "Every fault is a line FILE:LINE: message, and the exit code is 78. With both files of a pair it also\n" +
			"compares what the boards have to agree on. With --board it checks that the board can do it: its\n" +
			"link, its interfaces and, with --network, its address; a pair key that \"flash --pair\" makes may\n" +
			"be missing.",
		Example: "  heliograph check tx.toml rx.toml\n" +
			"  heliograph check --board rpi4b --network tx-network.toml tx.toml",
		Args: cobra.RangeArgs(1, 2),
		RunE: func(c *cobra.Command, args []string) error {
			files := settings.Files{Network: o.network}
			if o.board != "" {
				found, ok := boards.ByName(o.board)
				if !ok {
					return fmt.Errorf("--board %q is not known: %s are", o.board, boards.Names())
				}
				files.Board = found
				if found.Console.Device != "" { // it has cards
					files.KeyLater = "\"heliograph flash --pair\" makes it"
				}
			}
			if o.side != "" && o.side != "tx" && o.side != "rx" {
				return fmt.Errorf("--role %q must be tx or rx", o.side)
			}
			if len(args) == 2 {
				if o.side != "" || o.network != "" {
					return errors.New("--role and --network are for one file")
				}
				return o.pair(c, files, args[0], args[1])
			}
			return o.one(c, files, args[0])
		},
	}
	c.Flags().StringVar(&o.side, "role", "", "tx or rx (default: found out from the content)")
	c.Flags().StringVar(&o.board, "board", "", "board that the file is for, such as rpi4b")
	c.Flags().StringVar(&o.network, "network", "", "network.toml of the same board")
	jsonFlag(c, &o.json)
	return c
}

func (o checked) one(c *cobra.Command, files settings.Files, path string) error {
	side := o.side
	if side == "" {
		side = guessSide(path)
	}
	files.Config = path
	warnings, err := files.Check(side)
	o.as = "checked as the file of helio" + side
	return o.report(c, []string{path}, warnings, err)
}

// pair checks the two files of a pair, which may be given in any order.
func (o checked) pair(c *cobra.Command, files settings.Files, one, other string) error {
	if guessSide(one) == "rx" && guessSide(other) == "tx" {
		one, other = other, one
	}
	tx, rx := files, files
	tx.Config, rx.Config = one, other
	both, err := settings.Pair(tx, rx)
	o.as = fmt.Sprintf("checked as a pair: %s of heliotx, %s of heliorx", one, other)
	return o.report(c, []string{one, other}, both.Warnings, err)
}

// remark is a fault or a warning, for a program.
type remark struct {
	File    string `json:"file"`
	Line    int    `json:"line"`
	Message string `json:"message"`
}

func (o checked) report(c *cobra.Command, files []string, warnings []config.Warning, err error) error {
	faults, invalid := err.(config.Faults)
	if err != nil && !invalid {
		return failure{err} // of a file that was not read, or is the other role's
	}
	if o.as != "" {
		fmt.Fprintln(c.ErrOrStderr(), o.as)
	}
	if !o.json {
		role.Report(strings.Join(files, ", "), warnings, err, c.OutOrStdout(), c.ErrOrStderr())
	} else if err := printObject(c.OutOrStdout(), struct {
		Files    []string `json:"files"`
		OK       bool     `json:"ok"`
		Faults   []remark `json:"faults"`
		Warnings []remark `json:"warnings"`
	}{files, !invalid, listOf(faults, func(f config.Fault) remark { return remark(f) }),
		listOf(warnings, func(w config.Warning) remark { return remark(w) })}); err != nil {
		return failure{err}
	}
	if invalid {
		return exitError(role.Invalid)
	}
	return nil
}

// guessSide is the role that a file is for, or "tx" in doubt; what is wrong then comes out as faults.
func guessSide(path string) string { return cmp.Or(config.RoleOf(path), "tx") }
