// Package form asks the questions of a first configuration: on a terminal a page of fields
// at a time, on one that can do no more than lines (TERM=dumb) line by line.
//
// It refuses to judge an answer: the question does. It shows no password.
package form

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	tea "charm.land/bubbletea/v2"
	"charm.land/huh/v2"

	"heliograph/tools/initial"
)

// ErrStopped is returned when the user ends the form, or its input ends.
var ErrStopped = errors.New("stopped: nothing was written")

// maxWidth is how wide a page is at most.
const maxWidth = 100

// Form asks on a terminal.
type Form struct {
	In  io.Reader
	Out io.Writer
}

// Page asks questions, and puts the answers where they belong. A field that has an answer
// begins with it.
func (f Form) Page(ctx context.Context, title string, list []initial.Question, a *initial.Answers) error {
	fields := make([]huh.Field, 0, len(list))
	for _, q := range list {
		fields = append(fields, field(q, a))
	}
	return f.run(ctx, huh.NewGroup(fields...).Title(title))
}

// Keep leaves a line where pages were.
func (f Form) Keep(line string) { fmt.Fprintln(f.Out, line) }

// field returns the field of a question.
func field(q initial.Question, a *initial.Answers) huh.Field {
	into := into(q, a)
	verify := func(s string) error { return words(q.Verify(*a, strings.TrimSpace(s))) }
	help := help(q)
	if q.Options != nil {
		return huh.NewSelect[string]().Title(q.Title).Description(help).Options(huh.NewOptions(q.Options(*a)...)...).
			Value(into).Validate(verify)
	}
	i := huh.NewInput().Title(q.Title).Description(help).Value(into).Validate(verify)
	if q.Secret != nil {
		i.EchoMode(huh.EchoModePassword)
	}
	return i
}

// help returns what is said below a title.
func help(q initial.Question) string {
	if q.Secret != nil {
		return "it is written to a file that only you can read"
	}
	return q.Hint()
}

// into returns where an answer goes, which has the suggestion where there is none.
func into(q initial.Question, a *initial.Answers) *string {
	if q.Secret != nil {
		return q.Secret(a)
	}
	answer := q.Field(a)
	if *answer == "" {
		*answer = q.Suggest(*a)
	}
	return answer
}

// words are those of a fault without the flag, whose question is on the screen.
func words(err error) error {
	var fault initial.Fault
	if errors.As(err, &fault) {
		return errors.New(fault.Words)
	}
	return err
}

// Choose asks for one of some options.
func (f Form) Choose(ctx context.Context, title string, options []string) (int, error) {
	list := make([]huh.Option[int], len(options))
	for i, o := range options {
		list[i] = huh.NewOption(o, i)
	}
	chosen := 0
	err := f.run(ctx, huh.NewGroup(huh.NewSelect[int]().Title(title).Options(list...).Value(&chosen)))
	return chosen, err
}

func (f Form) run(ctx context.Context, g *huh.Group) error {
	err := huh.NewForm(g).WithTheme(huh.ThemeFunc(huh.ThemeBase16)).WithProgramOptions(
		tea.WithInput(f.In), tea.WithOutput(f.Out), tea.WithContext(ctx), tea.WithoutSignalHandler(),
		tea.WithFilter(narrow)).Run()
	if errors.Is(err, huh.ErrUserAborted) || ctx.Err() != nil {
		return ErrStopped
	}
	return err
}

// narrow keeps a page readable on a wide terminal.
func narrow(_ tea.Model, m tea.Msg) tea.Msg {
	if size, ok := m.(tea.WindowSizeMsg); ok {
		size.Width = min(size.Width, maxWidth)
		return size
	}
	return m
}
