package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"heliograph/firmware/platform/regular"
	"heliograph/tools/accept"
)

func acceptVerifyCommand() *cobra.Command {
	var asJSON bool
	c := &cobra.Command{
		Use: "verify REPORT", Args: cobra.ExactArgs(1),
		Short: "Check that a report is as it was signed, and the page beside it",
		Long: "The certificate is in the file: compare its thumbprint with the one that \"heliograph trust list\"\n" +
			"shows on RX. A page REPORT.html beside the file must be the one that was written with it. Name\n" +
			"either of the two.",
		Example: "  heliograph accept verify press-hall.json",
		RunE: failing(func(c *cobra.Command, args []string) error {
			return verifyReport(c.OutOrStdout(), args[0], asJSON)
		}),
	}
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return c
}

const maxPage = 64 << 20 // bytes of the page of a report

// verifyReport checks a file and the page beside it, either of which may be named, and
// prints what they are.
func verifyReport(out io.Writer, path string, asJSON bool) error {
	named := path
	if page, isPage := strings.CutSuffix(path, ".html"); isPage {
		path = page + ".json"
	}
	f, err := regular.Open(path)
	if err != nil && named != path && errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%s: the signature is in %s, which is not beside it", named, filepath.Base(path))
	}
	if err != nil {
		return err
	}
	defer f.Close()
	v, err := accept.Verify(f)
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	htmlPath := strings.TrimSuffix(path, filepath.Ext(path)) + ".html"
	page, err := regular.Read(htmlPath, maxPage)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		htmlPath = ""
	case err != nil:
		return err
	case !v.IsPage(page):
		return fmt.Errorf("%s is not the page that was written with %s", htmlPath, path)
	}
	subject := v.Certificate.Subject.CommonName
	if asJSON {
		return json.NewEncoder(out).Encode(map[string]any{"verdict": v.Verdict, "pair": v.Pair, "from": v.From,
			"to":         v.To,
			"thumbprint": v.Signer, "subject": subject, "page": htmlPath})
	}
	fmt.Fprintf(out, "%s of %s, measured %s to %s\nsigned by %q, thumbprint %s\n", v.Verdict, v.Pair,
		v.From.Format(time.DateTime), v.To.Format(time.DateTime), subject, v.Signer)
	if htmlPath == "" {
		fmt.Fprintln(out, "there is no page beside it")
	}
	return nil
}
