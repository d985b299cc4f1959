package main

import (
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"heliograph/tools/flash"
	"heliograph/tools/image"
	"heliograph/tools/progress"
)

const imagesUsage = "folder with the base images of the release; default: that of this program, images in it, the " +
	"folder above, and /usr/share/heliograph/images"

func imageCommand() *cobra.Command {
	o := image.Options{Source: ".", Version: version}
	var board string
	c := &cobra.Command{
		Use:   "image --role tx|rx --board BOARD [--config FILE] [--network FILE] [--update-key FILE] -o FILE.img",
		Short: "Write what a board boots from, or change the configuration in it",
		Long: "Write what a board boots from: the base image of the board and role, beside this program or in\n" +
			"--images, with the configuration in it. Without a base image it is built from the checkout that it\n" +
			"is run in.",
		Example: "  heliograph image --role tx --board rpi4b --config tx.toml --network tx-network.toml -o tx.img",
		Args:    cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			var err error
			if o.Board, err = imageBoard(board); err != nil {
				return err
			}
			if o.Role != "tx" && o.Role != "rx" {
				return fmt.Errorf("role %q is neither tx nor rx", o.Role)
			}
			return flashed(c, func() error {
				if err := buildImage(c, o); err != nil {
					return err
				}
				fmt.Fprintf(c.OutOrStdout(), "%s: %s for %s; copy it to a card as it is\n", o.Output, o.Role, board)
				return nil
			}())
		},
	}
	f := c.Flags()
	f.StringVar(&o.Role, "role", "", "tx or rx")
	boardFlag(c, &board)
	f.StringVar(&o.Config, "config", "", "configuration of the role; the files that it names come along")
	settingFlags(c, &o)
	f.StringVar(&o.Images, "images", "", imagesUsage)
	f.StringVarP(&o.Output, "output", "o", "", "the image to write")
	for _, name := range []string{"role", "board", "output"} {
		if err := c.MarkFlagRequired(name); err != nil {
			panic(err) // a flag that is not there
		}
	}
	c.AddCommand(configureCommand())
	return c
}

// buildImage makes an image, and shows that it does.
func buildImage(c *cobra.Command, o image.Options) error {
	return during(c, "making the image of "+strings.ToUpper(o.Role), func(l *progress.Line) error {
		o.Notes = l.Writer(c.ErrOrStderr())
		return image.Build(o)
	})
}

// settingFlags are those of what is put beside the configuration.
func settingFlags(c *cobra.Command, o *image.Options) {
	f := c.Flags()
	f.StringVar(&o.Network, "network", "", "network.toml: interface, address, gateway, nameservers, hostname")
	f.StringVar(&o.PKI, "pki", "", "folder with own, trusted, issuer and trusted_users, which the board starts with")
	f.StringVar(&o.UpdateKey, "update-key", "", "public key that updates must be signed with (\"heliograph update "+
		"key\"); without one the board takes none")
	f.Var(releaseNumber{&o.Release}, "release", "number of the release; updates to an older one are refused (default: "+
		"that of the base image, 1)")
}

func configureCommand() *cobra.Command {
	var o image.Options
	c := &cobra.Command{
		Use:   "configure [flags] FILE.img|CARD",
		Short: "Change the configuration in an image or on a card",
		Long: "Change the configuration in an image or on a card. --config replaces the role's configuration with\n" +
			"the files that it names, --network, --pki and --update-key each what they name; the rest stays, and\n" +
			"is listed; so does the pair key when its file is not beside the configuration. Of what was replaced\n" +
			"nothing remains on the boot partition. What the board's console has set since (its network, a pair\n" +
			"key) is on the data partition, and still comes first there.",
		Example: "  heliograph image configure --config tx.toml tx.img\n" +
			"  heliograph image configure --network tx-network.toml --update-key plant.key.pub /dev/sdX",
		Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			if o.Config+o.Network+o.PKI+o.UpdateKey == "" && o.Release == 0 {
				return errors.New("configure what? Say --config, --network, --pki, --update-key or --release")
			}
			return flashed(c, configureImage(c, args[0], o))
		},
	}
	c.Flags().StringVar(&o.Config, "config", "", "configuration of the role; the files that it names come along")
	settingFlags(c, &o)
	return c
}

func configureImage(c *cobra.Command, name string, o image.Options) error {
	d, err := flash.OpenCard(flash.Local(), name)
	if err != nil {
		return err
	}
	defer d.Close()
	if err := foreign(name, d); err != nil {
		return err
	}
	var kept []string
	err = during(c, "configuring "+name, func(l *progress.Line) error {
		o.Notes = l.Writer(c.ErrOrStderr())
		kept, err = image.Configure(d, o)
		return err
	})
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	fmt.Fprintf(c.OutOrStdout(), "%s: configured, read back and equal; %s\n", name, d.Release())
	if len(kept) > 0 {
		fmt.Fprintf(c.OutOrStdout(), "left as it was: %s\n", strings.Join(kept, ", "))
	}
	return d.Close()
}
