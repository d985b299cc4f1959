package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"heliograph/tools/manual"
)

func manCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "man FOLDER",
		Short: "Write the man pages of this program, of heliotx and of heliorx",
		Long: "Writes a page for each command, of section 1, heliotx(8) and heliorx(8), and heliotx.toml(5) and\n" +
			"heliorx.toml(5), into FOLDER, over older ones. \"man -l FILE\" shows one. The packages install them.\n" +
			"The pages have today's date, or that of SOURCE_DATE_EPOCH.",
		Example: "  heliograph man man",
		Args:    cobra.ExactArgs(1),
		RunE:    failing(func(c *cobra.Command, args []string) error { return writeManual(c, args[0]) }),
	}
}

func writeManual(c *cobra.Command, folder string) error {
	edition := manual.Edition{Version: version, Date: time.Now()}
	if text := os.Getenv("SOURCE_DATE_EPOCH"); text != "" {
		seconds, err := strconv.ParseInt(text, 10, 64)
		if err != nil {
			return fmt.Errorf("SOURCE_DATE_EPOCH is %q: want seconds since 1970", text)
		}
		edition.Date = time.Unix(seconds, 0)
	}
	err := os.MkdirAll(folder, 0o755)
	if errors.Is(err, syscall.ENOTDIR) {
		return fmt.Errorf("%s is not a folder: name one, or a new one in a folder", folder)
	}
	if err != nil {
		return err
	}
	pages := edition.Pages(c.Root())
	for _, p := range pages {
		if err := os.WriteFile(filepath.Join(folder, p.File()), p.Text, 0o644); err != nil {
			return err
		}
	}
	fmt.Fprintf(c.OutOrStdout(), "%s: %d pages\n", folder, len(pages))
	return nil
}
