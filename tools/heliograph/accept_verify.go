package main

import (
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"heliograph/firmware/opcua/pki"
	"heliograph/firmware/platform/regular"
	"heliograph/tools/accept"
)

func acceptVerifyCommand() *cobra.Command {
	var v verification
	c := &cobra.Command{
		Use: "verify REPORT", Args: cobra.ExactArgs(1),
		Short: "Check that a report is as it was signed, and the page beside it",
		Long: "Checks what RX has signed, that the figures of the report follow from it, and the signature of\n" +
			"the whole report where it has one. The certificate is in the file: --thumbprint takes the board's\n" +
			"own, which key c of its console, its label, and \"heliograph cert show\" at its card show. A\n" +
			"page REPORT.html beside the file must be the one that was written with it. Name either of the two.\n\n" +
			"The exit code is 0 for a report that is as it was signed, and 1 for another one, or where FAIL\n" +
			"follows from what RX signed and the report says better.",
		Example: "  heliograph accept verify press-hall.json\n" +
			"  heliograph accept verify --thumbprint 5821B46747FD53EC3A4A5F4F61E2FCC0AB8BC1B7 press-hall.json",
		RunE: func(c *cobra.Command, args []string) error {
			if err := v.check(); err != nil {
				return err
			}
			return failing(func(c *cobra.Command, args []string) error {
				return v.verify(c.OutOrStdout(), args[0])
			})(c, args)
		},
	}
	c.Flags().BoolVar(&v.json, "json", false, "print JSON")
	c.Flags().StringVar(&v.thumbprint, "thumbprint", "",
		"`HEX` of the board's certificate, SHA-1 or SHA-256; another one is a failure")
	return c
}

const maxPage = 64 << 20 // bytes of the page of a report

// verification is what the flags of verify say.
type verification struct {
	json       bool
	thumbprint string
}

// check returns what is wrong with the flags.
func (v *verification) check() error {
	digits := strings.ToUpper(strings.NewReplacer(":", "", " ", "").Replace(v.thumbprint))
	b, err := hex.DecodeString(digits)
	if v.thumbprint != "" && (err != nil || len(b) != 20 && len(b) != sha256.Size) {
		return errors.New("--thumbprint: the whole one is needed, 40 hexadecimal digits (SHA-1) or 64 (SHA-256)")
	}
	v.thumbprint = digits
	return nil
}

// verify checks a file and the page beside it, either of which may be named, and prints what
// they are.
func (v *verification) verify(out io.Writer, path string) error {
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
	r, err := accept.Verify(f)
	if err == nil && r.Tool == version {
		err = r.VerifyTexts()
	}
	if err == nil {
		err = v.compare(r)
	}
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
	case !r.IsPage(page):
		return fmt.Errorf("%s is not the page that was written with %s", htmlPath, path)
	}
	if !v.json {
		explain(out, r, htmlPath, v.thumbprint != "")
	} else if err := printVerified(out, r, htmlPath); err != nil {
		return err
	}
	if r.Concluded() == accept.VerdictFail && r.Verdict != accept.VerdictFail {
		return exitError(1)
	}
	return nil
}

// compare returns an error where another certificate than the one that was named signed any of a report.
func (v *verification) compare(r *accept.Verified) error {
	if v.thumbprint == "" {
		return nil
	}
	for _, c := range []*x509.Certificate{r.Measured, r.Certificate} {
		if c == nil {
			continue
		}
		sum := sha256.Sum256(c.Raw)
		if v.thumbprint != pki.Thumbprint(c.Raw) && v.thumbprint != strings.ToUpper(hex.EncodeToString(sum[:])) {
			return fmt.Errorf("signed by the key of certificate %s, and not of %s", pki.Thumbprint(c.Raw), v.thumbprint)
		}
	}
	return nil
}

// explain prints what a report is, and who has signed what of it; page is its path, "" for none.
func explain(out io.Writer, r *accept.Verified, page string, compared bool) {
	fmt.Fprintf(out, "%s of %s, measured %s to %s\n", r.Concluded(), r.Pair, r.From.Format(time.DateTime),
		r.To.Format(time.DateTime))
	if r.Verdict != r.Concluded() {
		fmt.Fprintf(out, "the report itself says %s, which does not follow from what RX signed: take its figures, and "+
			"not its findings and page\n", r.Verdict)
	}
	signer := func(c *x509.Certificate) string {
		return fmt.Sprintf("%s, thumbprint %s", subject(c), pki.Thumbprint(c.Raw))
	}
	if c := r.Measured; c != nil {
		fmt.Fprintf(out, "measured and signed by %s: %d statements, the first at %s by its clock\n", signer(c),
			r.Evidence.Statements(), r.ReceiverClock.UTC().Format(time.DateTime+" UTC"))
		fmt.Fprintln(out, "the figures follow from what was signed")
		if r.Tool == version {
			fmt.Fprintln(out, "findings, recommendation and page follow from the figures")
		} else {
			fmt.Fprintf(out,
				"findings, recommendation and page are of heliograph %q, and were not compared by %s, whose "+
					"verdict is %s\n", r.Tool, version, r.Judged())
		}
	}
	switch {
	case r.Certificate != nil:
		fmt.Fprintf(out, "report signed by %s\n", signer(r.Certificate))
	default:
		fmt.Fprintln(out, "not signed: the date by the clock of the computer that asked, what it sent as probes "+
			"itself, why a test was not done")
	}
	if !compared {
		fmt.Fprintln(out, "compare the thumbprint with the board's own, or give it with --thumbprint")
	}
	if page == "" {
		fmt.Fprintln(out, "there is no page beside it")
	}
}

// printVerified prints the same for a program.
func printVerified(out io.Writer, r *accept.Verified, page string) error {
	object := map[string]any{"verdict": r.Concluded(), "report_verdict": r.Verdict, "pair": r.Pair,
		"from": r.From, "to": r.To, "thumbprint": r.Signer, "page": page}
	if c := r.Certificate; c != nil {
		object["subject"] = c.Subject.CommonName
	}
	if c := r.Measured; c != nil {
		object["measured_by"] = map[string]any{"thumbprint": pki.Thumbprint(c.Raw), "subject": c.Subject.CommonName,
			"statements": r.Evidence.Statements(), "judged": r.Judged(), "texts_compared": r.Tool == version}
	}
	return json.NewEncoder(out).Encode(object)
}
