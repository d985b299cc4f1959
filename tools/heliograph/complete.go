package main

import (
	"io"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"heliograph/boards"
	"heliograph/firmware/opcua/pki"
	"heliograph/firmware/platform/acceptance"
	"heliograph/tools/flash"
)

// completionCommand stands in place of the library's, which writes to standard output alone.
func completionCommand() *cobra.Command {
	one := func(shell, load string, write func(root *cobra.Command, w io.Writer) error) *cobra.Command {
		return &cobra.Command{
			Use: shell, Short: "Write the completion script for " + shell,
			Long: "Writes the script to standard output. For this session and for all later ones:\n\n" + load,
			Args: cobra.NoArgs, Example: "  heliograph completion " + shell,
			RunE: failing(func(c *cobra.Command, _ []string) error { return write(c.Root(), c.OutOrStdout()) }),
		}
	}
	return group("completion", "Write the script with which a shell completes commands, flags and values",
		one("bash", "  source <(heliograph completion bash)\n"+
			"  heliograph completion bash >~/.local/share/bash-completion/completions/heliograph\n\n"+
			"The package bash-completion has to be loaded first: install it, and open a new shell or enter\n\n"+
			"  source /usr/share/bash-completion/bash_completion",
			func(c *cobra.Command, w io.Writer) error { return c.GenBashCompletionV2(w, true) }),
		one("zsh", "  source <(heliograph completion zsh)\n"+
			"  heliograph completion zsh >\"${fpath[1]}/_heliograph\"\n\nIt takes \"autoload -U compinit; compinit\".",
			func(c *cobra.Command, w io.Writer) error { return c.GenZshCompletion(w) }),
		one("fish", "  heliograph completion fish | source\n"+
			"  heliograph completion fish >~/.config/fish/completions/heliograph.fish",
			func(c *cobra.Command, w io.Writer) error { return c.GenFishCompletion(w, true) }),
		one("powershell", "  heliograph completion powershell | Out-String | Invoke-Expression\n\n"+
			"For all later ones put this line into the file of $PROFILE.",
			func(c *cobra.Command, w io.Writer) error { return c.GenPowerShellCompletionWithDesc(w) }))
}

// completions are the values of flags, by the name that a flag has at every command.
func completions() map[string]cobra.CompletionFunc {
	roles := fixed("tx\tthe plant's side", "rx\tIT's side")
	toml := ofExtension("toml")
	return map[string]cobra.CompletionFunc{
		"board": completeBoards, "role": roles, "replace": roles,
		"policy": fixed("None", "Basic256Sha256", "Aes128_Sha256_RsaOaep", "Aes256_Sha256_RsaPss"),
		"run":    completeRuns,
		"config": toml, "other": toml, "network": toml, "tx-config": toml, "rx-config": toml, "tx-network": toml,
		"rx-network": toml,
		"update-key": ofExtension("pub"), "dissector": ofExtension("lua"),
		"image":  ofExtension("img", "zst", "gz"),
		"images": folders, "pki": folders,
	}
}

// arguments are those of commands, by their path without the program's name.
func arguments() map[string]cobra.CompletionFunc {
	return map[string]cobra.CompletionFunc{
		"check": ofExtension("toml"), "decode": ofExtension("pcap", "pcapng", "bin"), "man": folders,
		"flash": completeTargets, "update show": completeTargets, "image configure": completeTargets,
		"update install": completeUpdate, "trust add": completeThumbprints(pki.KindRejected),
		"trust remove": completeThumbprints(pki.KindTrusted, pki.KindUser),
	}
}

// complete tells the shell's completion what the commands at and below c take. A value or
// argument that is not known here is completed as a file, as a shell does by itself.
func complete(c *cobra.Command) {
	values, path := completions(), strings.TrimPrefix(c.CommandPath(), c.Root().Name()+" ")
	c.Flags().VisitAll(func(f *pflag.Flag) {
		if known, ok := values[f.Name]; ok {
			_ = c.RegisterFlagCompletionFunc(f.Name, known) // once for each flag
		}
	})
	if medium := c.Flags().Lookup("medium"); medium != nil {
		names := fixed("udp", "uart", "ethernet")
		if c.Name() == "decode" {
			names = fixed("packets", "uart")
		}
		_ = c.RegisterFlagCompletionFunc("medium", names)
	}
	switch known := arguments()[path]; {
	case c.ValidArgsFunction != nil:
	case known != nil:
		c.ValidArgsFunction = known
	case c.HasSubCommands() || c.ValidateArgs([]string{"x"}) != nil && c.ValidateArgs(nil) == nil:
		c.ValidArgsFunction = cobra.NoFileCompletions
	}
	for _, sub := range c.Commands() {
		complete(sub)
	}
}

func fixed(values ...string) cobra.CompletionFunc {
	return cobra.FixedCompletions(values, cobra.ShellCompDirectiveNoFileComp)
}

func ofExtension(list ...string) cobra.CompletionFunc {
	return cobra.FixedCompletions(list, cobra.ShellCompDirectiveFilterFileExt)
}

func folders(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
	return nil, cobra.ShellCompDirectiveFilterDirs
}

func completeBoards(*cobra.Command, []string, string) (names []string, _ cobra.ShellCompDirective) {
	for _, b := range boards.All() {
		if b.Console.Device != "" {
			names = append(names, b.Name)
		}
	}
	return names, cobra.ShellCompDirectiveNoFileComp
}

// completeTargets offers drives that can be cards, and files.
func completeTargets(*cobra.Command, []string, string) (list []string, _ cobra.ShellCompDirective) {
	drives, _ := flash.Local().Drives() // files remain
	for _, d := range drives {
		if d.Removable {
			list = append(list, d.Path+"\t"+strings.TrimSpace(flash.Size(d.Size)+" "+d.Model))
		}
	}
	return list, cobra.ShellCompDirectiveDefault
}

func completeUpdate(c *cobra.Command, args []string, begin string) ([]string, cobra.ShellCompDirective) {
	if len(args) == 0 {
		return []string{"update"}, cobra.ShellCompDirectiveFilterFileExt
	}
	return completeTargets(c, args, begin)
}

// completeThumbprints offers certificates of the folder that --config or --pki names.
func completeThumbprints(kinds ...pki.Kind) cobra.CompletionFunc {
	return func(c *cobra.Command, _ []string, _ string) (list []string, _ cobra.ShellCompDirective) {
		var f folder
		f.pki, _ = c.Flags().GetString("pki")
		f.config, _ = c.Flags().GetString("config")
		s, err := f.open(c.ErrOrStderr(), pki.Application{})
		if err != nil {
			return nil, cobra.ShellCompDirectiveDefault
		}
		for _, e := range s.List() {
			for _, kind := range kinds {
				if e.Kind == kind {
					list = append(list, e.Thumbprint[:12]+"\t"+subject(e.Certificate))
				}
			}
		}
		return list, cobra.ShellCompDirectiveDefault
	}
}

// completeRuns offers the runs that the receiver of --config refuses.
func completeRuns(c *cobra.Command, args []string, _ string) (list []string, _ cobra.ShellCompDirective) {
	path, _ := c.Flags().GetString("config")
	dir, err := stateDirectory(path, args)
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	runs, _ := acceptance.Refused(dir) // none is offered
	for _, r := range runs {
		list = append(list, r.ID())
	}
	return list, cobra.ShellCompDirectiveNoFileComp
}
