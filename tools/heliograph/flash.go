package main

import (
	"bufio"
	"cmp"
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

	"heliograph/tools/flash"
	"heliograph/tools/image"
	"heliograph/tools/settings"
)

var errWhichPair = errors.New("flash which pair? Say --pair --board BOARD --tx-config FILE --rx-config FILE " +
	"TX-TARGET [RX-TARGET]")

var errWhichCard = errors.New("replace which card? Say --replace tx|rx --key FILE --board BOARD --config FILE TARGET")

// flashExamples are one of each kind.
const flashExamples = "  heliograph flash\n" +
	"  heliograph flash --pair --board rpi4b --tx-config tx.toml --rx-config rx.toml \\\n" +
	"      --update-key plant.key.pub --keep-key press-hall.key /dev/sdX /dev/sdY\n" +
	"  heliograph flash --replace tx --key press-hall.key --board rpi4b --config tx.toml /dev/sdX\n" +
	"  heliograph flash --role rx --board rpi4b --config rx.toml rx.img\n" +
	"  heliograph flash rx.img /dev/sdX"

// flashing is what the flags of flash say.
type flashing struct {
	o        image.Options
	pair     flash.Pair
	replace  flash.Replacement
	board    string
	both     bool
	yes      bool
	override bool
	json     bool // of the list of drives
}

func flashCommand() *cobra.Command {
	f := flashing{o: image.Options{Source: ".", Version: version},
		pair: flash.Pair{Source: ".", Version: version, Build: image.Build}}
	c := &cobra.Command{
		Use: "flash [FILE.img TARGET | --role tx|rx --board BOARD [flags] TARGET |\n" +
			"    --pair --board BOARD --tx-config FILE --rx-config FILE [flags] TX-TARGET [RX-TARGET] |\n" +
			"    --replace tx|rx --key FILE --board BOARD --config FILE [flags] TARGET]",
		Short: "Write an image to a card, read it back, and compare; alone, list the cards",
		Long: "Without arguments it lists the drives that can be cards. A target is one of them, /dev/sdX,\n" +
			"/dev/disk4 or E:, or a plain file. The image is FILE.img, packed with zstd or gzip or not, or made\n" +
			"here as \"heliograph image\" makes it. With --pair it makes the cards of both boards, in two readers\n" +
			"or one after the other in one: with a pair key and OPC UA identities of their own. With --replace\n" +
			"it makes a new card for one board of a pair whose key was kept with --keep-key.",
		Example: flashExamples,
		Args:    cobra.MaximumNArgs(2),
	}
	f.flags(c)
	c.RunE = func(c *cobra.Command, args []string) error {
		if err := f.complete(); err != nil {
			return err
		}
		f.pair.Build = func(o image.Options) error {
			o.Images = f.o.Images
			return buildImage(c, o)
		}
		return flashed(c, f.run(c, args))
	}
	return c
}

func (f *flashing) flags(c *cobra.Command) {
	s := c.Flags()
	s.BoolVar(&f.both, "pair", false, "make the cards of both boards")
	s.StringVar(&f.o.Role, "role", "", "tx or rx: make the image for it")
	boardFlag(c, &f.board)
	s.StringVar(&f.o.Config, "config", "", "configuration of the role; the files that it names come along")
	s.StringVar(&f.o.Network, "network", "", "network.toml: interface, address, gateway, nameservers, hostname")
	s.StringVar(&f.pair.TX.Config, "tx-config", "", "with --pair: configuration of TX")
	s.StringVar(&f.pair.RX.Config, "rx-config", "", "with --pair: configuration of RX")
	s.StringVar(&f.pair.TX.Network, "tx-network", "", "with --pair: network.toml of TX")
	s.StringVar(&f.pair.RX.Network, "rx-network", "", "with --pair: network.toml of RX")
	s.StringVar(&f.pair.KeepKey, "keep-key", "", "with --pair: new `FILE` for the pair key, to replace a lost card "+
		"from later; keep it under lock")
	s.StringVar(&f.replace.Role, "replace", "", "tx or rx: make a new card for that board of a pair")
	s.StringVar(&f.replace.Key, "key", "", "with --replace: `FILE` with the key of the pair")
	s.StringVar(&f.o.UpdateKey, "update-key", "", "public key that updates must be signed with (\"heliograph update "+
		"key\"); without one the board takes none")
	s.StringVar(&f.o.Images, "images", "", imagesUsage)
	s.Var(releaseNumber{&f.o.Release}, "release", "number of the release; updates to an older one are refused "+
		"(default: that of the base image)")
	s.BoolVar(&f.yes, "yes", false, "do not ask before a drive is overwritten")
	s.BoolVar(&f.override, "override", false, "write a drive that is mounted, not removable or implausibly large; "+
		"never the disk of /")
	s.BoolVar(&f.json, "json", false, "print the list of drives as JSON, for a program")
	c.MarkFlagsMutuallyExclusive("pair", "role", "replace", "json")
	c.MarkFlagsRequiredTogether("tx-config", "rx-config")
	c.MarkFlagsRequiredTogether("replace", "key")
}

// complete checks what flags say before anything is looked at.
func (f *flashing) complete() (err error) {
	for _, role := range []string{f.o.Role, f.replace.Role} {
		if role != "" && role != "tx" && role != "rx" {
			return fmt.Errorf("role %q is neither tx nor rx", role)
		}
	}
	if f.pair.KeepKey != "" && !f.both {
		return errors.New("--keep-key is for --pair: only there a key is made")
	}
	if f.both || f.o.Role != "" || f.replace.Role != "" {
		f.o.Board, err = imageBoard(f.board)
	}
	f.pair.Board, f.pair.UpdateKey, f.pair.Release = f.o.Board, f.o.UpdateKey, f.o.Release
	return err
}

// usage is an error of the command line.
type usage struct{ error }

func (f *flashing) run(c *cobra.Command, args []string) error {
	d := cardWriter(c, f.yes, f.override)
	switch {
	case f.both && (len(args) == 0 || f.pair.TX.Config == ""):
		return usage{errWhichPair}
	case f.both:
		f.pair.TX.Target, f.pair.RX.Target = args[0], strings.Join(args[1:], "")
		return d.Pair(c.Context(), f.pair)
	case f.replace.Role != "" && (len(args) != 1 || f.o.Config == ""):
		return usage{errWhichCard}
	case f.replace.Role != "":
		f.replace.Side = flash.Side{Config: f.o.Config, Network: f.o.Network, Target: args[0]}
		f.replace.Pair = f.pair
		return d.Replace(c.Context(), f.replace)
	case f.o.Role == "" && len(args) == 0:
		return listDrives(c.OutOrStdout(), d, f.json)
	case f.o.Role == "" && len(args) == 2:
		return d.Card(c.Context(), args[0], args[1])
	case f.o.Role != "" && len(args) == 1:
		return flashBuilt(c, d, f.o, args[0])
	}
	return usage{errors.New("flash what to where? Say FILE.img TARGET, or --role, --board and TARGET, or --pair")}
}

// flashed turns the error of a flash into the command's, whose exit code tells faults
// of a configuration from what else went wrong.
func flashed(c *cobra.Command, err error) error {
	if wrong, ok := err.(usage); ok {
		return wrong.error
	}
	if err != nil {
		return failure{err}
	}
	return nil
}

// flashBuilt makes an image, which holds secrets, for no longer than it takes.
func flashBuilt(c *cobra.Command, d flash.Writer, o image.Options, target string) error {
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
	if err := buildImage(c, o); err != nil {
		return err
	}
	return d.Card(c.Context(), o.Output, target)
}

func cardWriter(c *cobra.Command, yes, override bool) flash.Writer {
	input := bufio.NewReader(c.InOrStdin())
	f, isFile := c.InOrStdin().(*os.File)
	return flash.Writer{
		Machine: flash.Local(), Out: c.OutOrStdout(), Progress: c.ErrOrStderr(), Now: time.Now,
		Terminal: isFile && term.IsTerminal(f.Fd()), Yes: yes, Override: override,
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

// cardDrive is a drive that can be a card, for a program.
type cardDrive struct {
	Path   string `json:"path"`
	Size   int64  `json:"size_bytes"`
	Model  string `json:"model"`
	Serial string `json:"serial"`
	Ready  bool   `json:"ready"`
	Reason string `json:"reason,omitempty"` // why it is not ready
}

func cardDrives(d flash.Writer) ([]cardDrive, error) {
	list, err := d.Machine.Drives()
	cards := []cardDrive{}
	for _, drive := range list {
		if !drive.Removable {
			continue
		}
		card := cardDrive{Path: drive.Path, Size: drive.Size, Model: drive.Model, Serial: drive.Serial, Ready: true}
		if err := drive.Refusal(0, false); err != nil {
			_, card.Reason, _ = strings.Cut(err.Error(), drive.Path+" ")
			card.Ready = false
		}
		cards = append(cards, card)
	}
	return cards, err
}

func listDrives(to io.Writer, d flash.Writer, asJSON bool) error {
	list, err := cardDrives(d)
	if err != nil {
		return err
	}
	if asJSON {
		return printObject(to, map[string]any{"drives": list})
	}
	if len(list) == 0 {
		_, err := fmt.Fprintln(to, "no removable drive is there: put a card into a reader, or name a plain file")
		return err
	}
	t := tabwriter.NewWriter(to, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "DRIVE\tSIZE\tMODEL\tSERIAL\tSTATE")
	for _, card := range list {
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\n", card.Path, flash.Size(card.Size), card.Model, card.Serial,
			cmp.Or(card.Reason, "ready to be overwritten"))
	}
	return t.Flush()
}
