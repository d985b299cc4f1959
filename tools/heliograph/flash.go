package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/charmbracelet/x/term"
	"github.com/spf13/cobra"

	"heliograph/firmware/config"
	"heliograph/firmware/platform/role"
	"heliograph/tools/flash"
	"heliograph/tools/image"
	"heliograph/tools/settings"
)

var errWhichPair = errors.New("flash which pair? Say --pair --board BOARD --tx-config FILE --rx-config FILE " +
	"TX-TARGET [RX-TARGET]")

var errWhichCard = errors.New("replace which card? Say --replace tx|rx --key FILE --board BOARD --config FILE TARGET")

func flashCommand() *cobra.Command {
	o := image.Options{Source: ".", Version: version}
	pair := flash.Pair{Source: ".", Version: version, Build: image.Build}
	var replace flash.Replacement
	var board string
	var both, yes, override bool
	c := &cobra.Command{
		Use: "flash [FILE.img TARGET | --role tx|rx --board BOARD [flags] TARGET |\n" +
			"    --pair --board BOARD --tx-config FILE --rx-config FILE [flags] TX-TARGET [RX-TARGET] |\n" +
			"    --replace tx|rx --key FILE --board BOARD --config FILE [flags] TARGET]",
		Short: "Write an image to a card, read it back, and compare; alone, list the cards",
		Long: "Without arguments it lists the drives that can be cards. A target is one of them, /dev/sdX, or a\n" +
			"plain file. The image is FILE.img, or made here as \"heliograph image\" makes it. With --pair it\n" +
			"makes the cards of both boards, in two readers or one after the other in one: with a pair key\n" +
			"and OPC UA identities of their own. With --replace it makes a new card for one board of a pair\n" +
			"whose key was kept with --keep-key. FILE.img may be packed with zstd or gzip.",
		Args: cobra.MaximumNArgs(2),
	}
	f := c.Flags()
	f.BoolVar(&both, "pair", false, "make the cards of both boards")
	f.StringVar(&o.Role, "role", "", "tx or rx: make the image for it")
	boardFlag(c, &board)
	f.StringVar(&o.Config, "config", "", "configuration of the role; the files that it names come along")
	f.StringVar(&o.Network, "network", "", "network.toml: interface, address, gateway, nameservers, hostname")
	f.StringVar(&pair.TX.Config, "tx-config", "", "with --pair: configuration of TX")
	f.StringVar(&pair.RX.Config, "rx-config", "", "with --pair: configuration of RX")
	f.StringVar(&pair.TX.Network, "tx-network", "", "with --pair: network.toml of TX")
	f.StringVar(&pair.RX.Network, "rx-network", "", "with --pair: network.toml of RX")
	f.StringVar(&pair.KeepKey, "keep-key", "", "with --pair: new `FILE` for the pair key, to replace a lost card from later; "+
		"keep it under lock")
	f.StringVar(&replace.Role, "replace", "", "tx or rx: make a new card for that board of a pair")
	f.StringVar(&replace.Key, "key", "", "with --replace: `FILE` with the key of the pair")
	f.StringVar(&o.UpdateKey, "update-key", "", "public key that updates must be signed with (\"heliograph update key\"); "+
		"without one the board takes none")
	f.Uint64Var(&o.Release, "release", 1, "number of the release; updates to an older one are refused")
	f.BoolVar(&yes, "yes", false, "do not ask before a drive is overwritten")
	f.BoolVar(&override, "override", false, "write a drive that is mounted, not removable or implausibly large; "+
		"never the disk of /")
	c.MarkFlagsMutuallyExclusive("pair", "role", "replace")
	c.MarkFlagsRequiredTogether("replace", "key")
	c.MarkFlagsRequiredTogether("tx-config", "rx-config")
	c.RunE = func(c *cobra.Command, args []string) error {
		d := cardWriter(c, yes, override)
		var err error
		for _, role := range []string{o.Role, replace.Role} {
			if role != "" && role != "tx" && role != "rx" {
				return fmt.Errorf("role %q is neither tx nor rx", role)
			}
		}
		pair.UpdateKey, pair.Release = o.UpdateKey, o.Release
		if both || o.Role != "" || replace.Role != "" {
			if o.Board, err = imageBoard(board); err != nil {
				return err
			}
		}
		switch {
		case both && (len(args) == 0 || pair.TX.Config == ""):
			return errWhichPair
		case both:
			pair.Board, pair.TX.Target, pair.RX.Target = o.Board, args[0], strings.Join(args[1:], "")
			err = d.Pair(c.Context(), pair)
		case replace.Role != "" && (len(args) != 1 || o.Config == ""):
			return errWhichCard
		case replace.Role != "":
			pair.Board = o.Board
			replace.Side = flash.Side{Config: o.Config, Network: o.Network, Target: args[0]}
			replace.Pair = pair
			err = d.Replace(c.Context(), replace)
		case o.Role == "" && len(args) == 0:
			err = listDrives(c.OutOrStdout(), d)
		case o.Role == "" && len(args) == 2:
			err = d.Card(c.Context(), args[0], args[1])
		case o.Role != "" && len(args) == 1:
			err = flashBuilt(c.Context(), d, o, args[0])
		default:
			return errors.New("flash what to where? Say FILE.img TARGET, or --role, --board and TARGET, or --pair")
		}
		return flashed(c, err)
	}
	return c
}

// flashed turns the error of a flash into the command's, whose exit code tells faults
// of a configuration from what else went wrong.
func flashed(c *cobra.Command, err error) error {
	if _, invalid := errors.AsType[config.Faults](err); invalid {
		fmt.Fprintln(c.ErrOrStderr(), "heliograph:", err)
		return exitError(role.Invalid)
	}
	if err != nil {
		return failure{err}
	}
	return nil
}

// flashBuilt makes an image, which holds secrets, for no longer than it takes.
func flashBuilt(ctx context.Context, d flash.Writer, o image.Options, target string) error {
	dir, err := os.MkdirTemp("", "heliograph-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	o.Output = filepath.Join(dir, "card.img")
	if err := errors.Join(flash.CheckConfiguration(o.Role,
		settings.Files{Board: o.Board, Config: o.Config, Network: o.Network}), d.Check(target)); err != nil {
		return err // before the minute that an image takes
	}
	if o.UpdateKey == "" {
		fmt.Fprintln(d.Out, flash.NoUpdates)
	}
	if err := image.Build(o); err != nil {
		return err
	}
	return d.Card(ctx, o.Output, target)
}

func cardWriter(c *cobra.Command, yes, override bool) flash.Writer {
	input := bufio.NewReader(c.InOrStdin())
	out, ok := c.OutOrStdout().(*os.File)
	return flash.Writer{
		Machine: flash.Local(), Out: c.OutOrStdout(), Terminal: ok && term.IsTerminal(out.Fd()), Now: time.Now, Yes: yes,
		Override: override,
		Ask: func(ctx context.Context, question string) (string, error) {
			fmt.Fprint(c.OutOrStdout(), question)
			return answer(ctx, input)
		},
	}
}

// answer reads a line. Ctrl-C ends the waiting, not the reading: the program
// ends next.
func answer(ctx context.Context, input *bufio.Reader) (string, error) {
	type line struct {
		text string
		err  error
	}
	read := make(chan line, 1)
	go func() {
		text, err := input.ReadString('\n')
		read <- line{text, err}
	}()
	select {
	case <-ctx.Done():
		return "", errors.New("flash: stopped: nothing was written")
	case l := <-read:
		if l.err == io.EOF && l.text == "" {
			return "", errors.New("flash: standard input is not a terminal: give --yes to confirm")
		}
		return strings.TrimSpace(l.text), nil
	}
}

func listDrives(to io.Writer, d flash.Writer) error {
	list, err := d.Machine.Drives()
	if err != nil {
		return err
	}
	t := tabwriter.NewWriter(to, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "DRIVE\tSIZE\tMODEL\tSERIAL\tSTATE")
	found := false
	for _, drive := range list {
		if !drive.Removable {
			continue
		}
		found = true
		state := "ready to be overwritten"
		if err := drive.Refusal(0, false); err != nil {
			_, state, _ = strings.Cut(err.Error(), drive.Path+" ")
		}
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\n", drive.Path, flash.Size(drive.Size), drive.Model, drive.Serial, state)
	}
	if !found {
		_, err := fmt.Fprintln(to, "no removable drive is there: put a card into a reader, or name a plain file")
		return err
	}
	return t.Flush()
}
