package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/charmbracelet/x/term"
	"github.com/gopcua/opcua/ua"
	"github.com/spf13/cobra"

	"heliograph/firmware/opcua/client"
	"heliograph/firmware/opcua/pki"
	"heliograph/firmware/platform/role"
	"heliograph/tools/crawl"
	"heliograph/tools/progress"
)

// crawlTimeout bounds one request of a crawl: servers are slow with large nodes.
const crawlTimeout = 30 * time.Second

func crawlCommand() *cobra.Command {
	var f folder
	var policy, user, mirrorPolicy, mirrorUser string
	var asJSON bool
	c := &cobra.Command{
		Use: "crawl SOURCE MIRROR", Args: twoServers,
		Short: "Read all of two OPC UA servers (opc.tcp://…) and list where the mirror differs from its source",
		Example: "  heliograph crawl opc.tcp://10.0.0.5:4840 opc.tcp://it-gateway:4840\n" +
			"  heliograph crawl --pki pki --mirror-policy Basic256Sha256 --mirror-user ann \\\n" +
			"      opc.tcp://10.0.0.5:4840 opc.tcp://it-gateway:4840 <ann.password",
		PreRunE: func(*cobra.Command, []string) error { return f.policies(policy, mirrorPolicy) },
		RunE: failing(func(c *cobra.Command, args []string) error {
			source := client.Config{Endpoint: args[0], Policy: policy, ApplicationName: "heliograph crawl",
				Timeout: crawlTimeout}
			mirror := source
			mirror.Endpoint, mirror.Policy = args[1], cmp.Or(mirrorPolicy, policy)
			password, err := crawlPassword(c, cmp.Or(user, mirrorUser))
			if err != nil {
				return err
			}
			for _, side := range []struct {
				cfg *client.Config
				who string
			}{{&source, user}, {&mirror, cmp.Or(mirrorUser, user)}} {
				if side.who != "" {
					side.cfg.User = client.User{Name: side.who, Password: password,
						ClearPassword: side.cfg.Policy == "None"}
				}
				if err := f.secure(c, side.cfg); err != nil {
					return err
				}
			}
			var differences []crawl.Difference
			nodes := 0
			err = during(c, "connecting", func(l *progress.Line) (err error) {
				differences, nodes, err = compare(c.Context(), source, mirror, l.Set)
				return err
			})
			if err != nil {
				return err
			}
			if err := printDifferences(c.OutOrStdout(), differences, nodes, asJSON); err != nil {
				return err
			}
			if len(differences) > 0 {
				return exitError(role.Failure)
			}
			return nil
		}),
	}
	c.Flags().StringVar(&f.pki, "pki", "", "folder of certificates, for a policy other than None")
	c.Flags().StringVar(&policy, "policy", "None", "security policy of both: None, Basic256Sha256, …")
	c.Flags().StringVar(&mirrorPolicy, "mirror-policy", "", "security policy of the mirror, where it is another one")
	c.Flags().StringVar(&user, "user", "", "who to log in as at both; the password is read from standard input")
	c.Flags().StringVar(&mirrorUser, "mirror-user", "", "who to log in as at the mirror alone; the same")
	jsonFlag(c, &asJSON)
	return c
}

// twoServers takes two addresses of OPC UA servers.
func twoServers(c *cobra.Command, args []string) error {
	if err := cobra.ExactArgs(2)(c, args); err != nil {
		return err
	}
	for _, arg := range args {
		u, err := url.Parse(arg)
		if arg != "" && (err != nil || u.Scheme != "opc.tcp" || u.Hostname() == "") { // whole refuses an empty one
			return fmt.Errorf("%q: write opc.tcp://HOST:PORT, such as opc.tcp://10.0.0.5:4840", arg)
		}
	}
	return nil
}

// crawlPassword reads the password of a user, "" for none.
func crawlPassword(c *cobra.Command, user string) (string, error) {
	if user == "" {
		return "", nil
	}
	if f, ok := c.InOrStdin().(*os.File); ok && term.IsTerminal(f.Fd()) {
		return ask(f, c.ErrOrStderr(), "Password of "+user+": ")
	}
	return readPassword(c.InOrStdin(), c.ErrOrStderr())
}

// securityPolicies are those that a crawl can use.
var securityPolicies = []string{"None", "Basic256Sha256", "Aes128_Sha256_RsaOaep", "Aes256_Sha256_RsaPss"}

// policies returns what is wrong with the policies of both servers.
func (f *folder) policies(both, mirror string) error {
	mirror = cmp.Or(mirror, both)
	for _, one := range [][2]string{{"policy", both}, {"mirror-policy", mirror}} {
		if !slices.Contains(securityPolicies, one[1]) {
			return fmt.Errorf("--%s must be one of %s", one[0], strings.Join(securityPolicies, ", "))
		}
	}
	if f.pki == "" && (both != "None" || mirror != "None") {
		return errors.New("--pki FOLDER is needed for a policy other than None: \"heliograph cert new --pki FOLDER " +
			"--role rx --pair NAME\" makes a certificate")
	}
	return nil
}

// secure has a connection use the certificates of the folder where its policy wants them.
func (f *folder) secure(c *cobra.Command, cfg *client.Config) (err error) {
	if cfg.Policy != "None" {
		cfg.Mode = ua.MessageSecurityModeSignAndEncrypt
		cfg.Store, err = f.open(c.ErrOrStderr(), pki.Application{})
	}
	return err
}

// difference is one for a program.
type difference struct {
	Node string `json:"node"`
	What string `json:"what"`
}

func printDifferences(w io.Writer, list []crawl.Difference, nodes int, asJSON bool) error {
	if asJSON {
		return printObject(w, map[string]any{"nodes": nodes, "differences": listOf(list,
			func(d crawl.Difference) difference { return difference{fmt.Sprint(d.Node), d.What} })})
	}
	for _, d := range list {
		fmt.Fprintln(w, d)
	}
	_, err := fmt.Fprintf(w, "%d differences among %d nodes\n", len(list), nodes)
	return err
}

// compare crawls the source, the mirror, and the source again: what moved
// meanwhile is not compared. It calls doing with how far it is.
func compare(ctx context.Context, source, mirror client.Config, doing func(format string, a ...any)) (
	list []crawl.Difference, nodes int, err error) {
	steps := [3]string{"1/3 the source", "2/3 the mirror", "3/3 the source again"}
	var snapshots [3]*crawl.Snapshot
	for i, cfg := range []client.Config{source, mirror, source} {
		doing("%s: connecting", steps[i])
		s, err := client.Connect(ctx, cfg)
		if err != nil {
			return nil, 0, err
		}
		snapshots[i], err = crawl.Follow(ctx, s, func(read, known int) {
			doing("%s: %d of %d known nodes", steps[i], read, known)
		})
		s.Close()
		if err != nil {
			return nil, 0, err
		}
	}
	return crawl.Compare(snapshots[0], snapshots[2], snapshots[1]), len(snapshots[0].Nodes), nil
}
