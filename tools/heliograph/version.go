package main

import (
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"heliograph/tools/image"
)

func versionCommand() *cobra.Command {
	var name string
	c := &cobra.Command{
		Use:   "version [--image FILE.img|FILE.img.zst|CARD]",
		Short: "Print the version; of an image, what it is, and how old its kernel is",
		Args:  cobra.NoArgs,
		RunE: failing(func(c *cobra.Command, _ []string) error {
			if name == "" {
				fmt.Fprintln(c.OutOrStdout(), "heliograph", version)
				return nil
			}
			d, err := image.DescribeFile(name)
			if err != nil {
				return err
			}
			fmt.Fprint(c.OutOrStdout(), d.Text(time.Now()))
			return nil
		}),
	}
	c.Flags().StringVar(&name, "image", "", "an image, packed or not, or a card")
	return c
}
