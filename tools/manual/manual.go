// Package manual writes the man pages of Heliograph: one of section 1 for each command of
// the tool, from its tree of commands; one of section 8 for each role, from its flags; and
// one of section 5 for each role's configuration, from its reference file. So a page says
// what the program says, and nothing is written twice.
//
// Pages are written as Markdown and become roff by md2man. The package refuses to say what
// neither a program nor a reference file says, but for what a role is.
package manual

import (
	"fmt"
	"strings"
	"time"

	"github.com/cpuguy83/go-md2man/v2/md2man"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// Page is a man page.
type Page struct {
	Name    string // without its section
	Section int
	Text    []byte // roff
}

// File is the name of the page's file.
func (p Page) File() string { return fmt.Sprintf("%s.%d", p.Name, p.Section) }

// Edition is what stands at the foot of all pages.
type Edition struct {
	Version string
	Date    time.Time
}

// Pages returns all pages: those of the commands at and below root, of both roles, and of
// their configurations.
func (e Edition) Pages(root *cobra.Command) []Page {
	pages := e.commands(root)
	for _, r := range roles() {
		pages = append(pages, e.page(r.name, 8, r.daemon()), e.page(r.name+".toml", 5, r.configuration()))
	}
	return pages
}

func (e Edition) commands(c *cobra.Command) []Page {
	pages := []Page{e.page(pageName(c), 1, command(c))}
	for _, sub := range c.Commands() {
		if sub.IsAvailableCommand() {
			pages = append(pages, e.commands(sub)...)
		}
	}
	return pages
}

func (e Edition) page(name string, section int, text string) Page {
	head := fmt.Sprintf("%% %q %q %q %q %q\n", strings.ToUpper(name), fmt.Sprint(section),
		e.Date.UTC().Format(time.DateOnly), "Heliograph "+e.Version, "Heliograph manual")
	return Page{Name: name, Section: section, Text: md2man.Render([]byte(head + text))}
}

func pageName(c *cobra.Command) string { return strings.ReplaceAll(c.CommandPath(), " ", "-") }

// command is the text of a command's page.
func command(c *cobra.Command) string {
	var b strings.Builder
	fmt.Fprintf(&b, "# NAME\n%s \\- %s\n\n# SYNOPSIS\n%s\n\n# DESCRIPTION\n%s\n\n", pageName(c), plain(c.Short),
		literal(synopsis(c)), paragraphs(describes(c)))
	c.InitDefaultHelpFlag()
	if flags := c.LocalFlags(); flags.HasAvailableFlags() {
		b.WriteString("# OPTIONS\n")
		flags.VisitAll(func(f *pflag.Flag) { b.WriteString(option(f)) })
	}
	if !c.HasSubCommands() || c.HasExample() {
		b.WriteString(exitStatus)
	}
	if c.HasExample() {
		fmt.Fprintf(&b, "# EXAMPLES\n%s\n\n", literal(c.Example))
	}
	fmt.Fprintf(&b, "# SEE ALSO\n%s\n", strings.Join(related(c), ", "))
	return b.String()
}

// exitStatus is the same for every program of ours, and as package role says.
const exitStatus = "# EXIT STATUS\n**0**\n: ended as asked\n\n**1**\n: failed, or found something that it reports\n\n" +
	"**2**\n: called with a flag, argument or value that it does not know\n\n" +
	"**78**\n: the configuration has faults, each reported with its line\n\n"

// synopsis has a line for each form of the command.
func synopsis(c *cobra.Command) string {
	line := strings.TrimPrefix(c.UseLine(), c.CommandPath())
	forms := strings.Split(line, " | "+c.Name()+" ")
	for i, f := range forms {
		forms[i] = c.CommandPath() + " " + strings.TrimSpace(f)
	}
	if c.HasSubCommands() && !c.HasFlags() {
		forms = nil
		for _, sub := range c.Commands() {
			if sub.IsAvailableCommand() {
				forms = append(forms, sub.CommandPath()+" …")
			}
		}
	}
	return strings.Join(forms, "\n")
}

// describes is what a command says of itself, and of the commands that it holds.
func describes(c *cobra.Command) string {
	text := c.Long
	if text == "" {
		text = c.Short + "."
	}
	if c.HasAvailableSubCommands() {
		text += "\n"
	}
	for _, sub := range c.Commands() {
		if sub.IsAvailableCommand() {
			text += "\n  " + sub.CommandPath() + "\n      " + sub.Short
		}
	}
	return text
}

func option(f *pflag.Flag) string {
	if f.Hidden {
		return ""
	}
	value, usage := pflag.UnquoteUsage(f)
	name := "**--" + f.Name + "**"
	if f.Shorthand != "" {
		name = "**-" + f.Shorthand + "**, " + name
	}
	switch value {
	case "":
	case "string":
		name += " *VALUE*"
	default:
		name += " *" + plain(strings.ToUpper(value)) + "*"
	}
	if !strings.Contains(usage, "default") && !zero(f) {
		usage += " (default: " + f.DefValue + ")"
	}
	return fmt.Sprintf("%s\n: %s\n\n", name, plain(usage))
}

// zero says whether a default says nothing.
func zero(f *pflag.Flag) bool {
	switch f.DefValue {
	case "", "0", "0s", "false", "[]":
		return true
	}
	return false
}

// related are the pages of the command above and of those below.
func related(c *cobra.Command) (list []string) {
	if c.HasParent() {
		list = append(list, reference(pageName(c.Parent()), 1))
	}
	for _, sub := range c.Commands() {
		if sub.IsAvailableCommand() {
			list = append(list, reference(pageName(sub), 1))
		}
	}
	if !c.HasParent() {
		for _, r := range roles() {
			list = append(list, reference(r.name, 8), reference(r.name+".toml", 5))
		}
	}
	return list
}

func reference(name string, section int) string { return fmt.Sprintf("**%s**(%d)", name, section) }
