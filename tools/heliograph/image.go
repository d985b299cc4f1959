package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"heliograph/tools/image"
)

func imageCommand() *cobra.Command {
	o := image.Options{Source: ".", Version: version}
	var board string
	c := &cobra.Command{
		Use:   "image --role tx|rx --board BOARD [--config FILE] [--network FILE] -o FILE.img",
		Short: "Write what a board boots from; run it in a checkout, which it builds the role from",
		Args:  cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			found, err := imageBoard(board)
			if err != nil {
				return err
			}
			if o.Role != "tx" && o.Role != "rx" {
				return fmt.Errorf("role %q is neither tx nor rx", o.Role)
			}
			o.Board = found
			return failing(func(c *cobra.Command, _ []string) error {
				if err := image.Build(o); err != nil {
					return err
				}
				fmt.Fprintf(c.OutOrStdout(), "%s: %s for %s; copy it to a card as it is\n", o.Output, o.Role, board)
				return nil
			})(c, nil)
		},
	}
	f := c.Flags()
	f.StringVar(&o.Role, "role", "", "tx or rx")
	boardFlag(c, &board)
	f.StringVar(&o.Config, "config", "", "configuration of the role; the files that it names come along")
	f.StringVar(&o.Network, "network", "", "network.toml: interface, address, gateway, nameservers, hostname")
	f.Uint64Var(&o.Release, "release", 1, "number of the release; updates to an older one are refused")
	f.StringVar(&o.UpdateKey, "update-key", "", "public key that updates must be signed with (\"heliograph update "+
		"key\"); without one the board takes none")
	f.StringVarP(&o.Output, "output", "o", "", "the image to write")
	for _, name := range []string{"role", "board", "output"} {
		if err := c.MarkFlagRequired(name); err != nil {
			panic(err) // a flag that is not there
		}
	}
	return c
}
