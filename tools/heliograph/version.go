package main

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"heliograph/firmware/platform/regular"
	"heliograph/firmware/platform/release"
	"heliograph/tools/image"
	"heliograph/tools/progress"
)

func versionCommand() *cobra.Command {
	var name string
	var asJSON bool
	c := &cobra.Command{
		Use:   "version [--image FILE.img|FILE.img.zst|CARD]",
		Short: "Print the version; of an image, what it is, and how old its kernel is",
		Example: "  heliograph version\n" +
			"  heliograph version --image tx.img",
		Args: cobra.NoArgs,
	}
	c.Flags().StringVar(&name, "image", "", "an image, packed or not, or a card")
	jsonFlag(c, &asJSON)
	c.RunE = func(c *cobra.Command, args []string) error {
		switch {
		case name != "":
		case c.Flags().Changed("image"):
			return errors.New("--image is empty: name an image or a card")
		case asJSON:
			return failing(func(c *cobra.Command, _ []string) error {
				return printObject(c.OutOrStdout(), map[string]string{"version": version})
			})(c, args)
		default:
			fmt.Fprintln(c.OutOrStdout(), "heliograph", version)
			return nil
		}
		return failing(func(c *cobra.Command, _ []string) error {
			var d image.Description
			err := during(c, "reading "+name, func(*progress.Line) (err error) {
				d, err = image.DescribeFile(name)
				return err
			})
			if err != nil {
				return cmp.Or(foreignFile(name), err)
			}
			if asJSON {
				return printObject(c.OutOrStdout(), d)
			}
			fmt.Fprint(c.OutOrStdout(), d.Text(time.Now()))
			return nil
		})(c, args)
	}
	return c
}

// foreign says what something is that is not an image or a card of a board.
func foreign(name string, r io.ReaderAt) error {
	switch {
	case !image.Foreign(r):
		return nil
	case release.IsUpdate(r):
		return fmt.Errorf("%s is an update: \"heliograph update install\" puts it on a card", name)
	}
	return fmt.Errorf("%s is not an image or card of a board", name)
}

// foreignFile is foreign for a file that was not opened; a packed one it does not judge.
func foreignFile(name string) error {
	f, err := regular.OpenDrive(name)
	if err != nil || strings.HasSuffix(name, ".zst") {
		return nil
	}
	defer f.Close()
	return foreign(name, f)
}
