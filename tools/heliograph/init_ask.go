package main

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/charmbracelet/x/term"
	"github.com/spf13/cobra"

	"heliograph/tools/initial"
	"heliograph/tools/initial/create"
	"heliograph/tools/initial/form"
	"heliograph/tools/progress"
)

// asker asks a person.
type asker interface {
	Page(ctx context.Context, title string, list []initial.Question, a *initial.Answers) error
	Choose(ctx context.Context, title string, options []string) (int, error)
	Keep(line string)
}

// newAsker returns a form on a terminal, a dialogue on one without cursor keys, and nil where
// there is no person to ask.
func newAsker(c *cobra.Command) asker {
	in, ok := c.InOrStdin().(*os.File)
	if !ok || !term.IsTerminal(in.Fd()) || !onTerminal(c.OutOrStdout()) {
		return nil
	}
	if os.Getenv("TERM") == "dumb" {
		return form.Dialogue{In: bufio.NewReader(in), Out: c.OutOrStdout(), Password: func() (string, error) {
			password, err := term.ReadPassword(in.Fd())
			return string(password), err
		}}
	}
	return form.Form{In: in, Out: c.OutOrStdout()}
}

// askPage asks the questions of a page that have no answer yet.
func (i *initiation) askPage(ctx context.Context, p initial.Page) error {
	var list []initial.Question
	for _, q := range initial.On(p, i.answers) {
		if !i.given[q.Flag] && !i.asked[q.Flag] {
			list = append(list, q)
		}
	}
	if len(list) == 0 {
		return nil
	}
	if err := i.asker.Page(ctx, p.Title(), list, &i.answers); err != nil {
		return failure{err}
	}
	i.unkept[p] = append(i.unkept[p], list...)
	for _, q := range list {
		i.asked[q.Flag] = true
		if answer := q.Field(&i.answers); *answer == "" && q.Secret == nil {
			*answer = "none" // in place of what is suggested
		}
	}
	return nil
}

// keep leaves a line of the answers to each page so far: when the plant has answered to them, or
// is not to be asked.
func (i *initiation) keep() {
	for _, p := range initial.Pages() {
		var answers []string
		for _, q := range i.unkept[p] {
			answer := i.named(q.Flag, *q.Field(&i.answers))
			if answer != "" && q.Secret == nil && !slices.Contains(answers, answer) {
				answers = append(answers, answer)
			}
		}
		if len(answers) > 0 {
			i.asker.Keep(p.Title() + ": " + strings.Join(answers, ", "))
		}
	}
	clear(i.unkept)
}

// named returns an address of the plant, with a word if it did not answer.
func (i *initiation) named(flag, address string) string {
	if address != "" && i.skipped[flag] {
		return address + " (does not answer)"
	}
	return address
}

// forget has questions asked again.
func (i *initiation) forget(flags ...string) {
	for _, flag := range flags {
		i.given[flag], i.asked[flag] = false, false
	}
}

// again has a person answer some questions again; without one the error ends it.
func (i *initiation) again(p initial.Page, why error, flags ...string) (initial.Page, error) {
	if i.asker == nil {
		return p, why
	}
	fmt.Fprintf(i.notes, "%v\n", why)
	i.forget(flags...)
	return p, nil
}

// free looks whether the files may be written.
func (i *initiation) free(ctx context.Context, next initial.Page) (initial.Page, error) {
	err := create.Free(i.answers, nil, true)
	if err != nil {
		return i.again(initial.PageFiles, failure{err}, "tx", "rx")
	}
	if err = create.Possible(i.answers); err != nil && flagOf(err) == "key" {
		return next, err
	} else if err != nil {
		return i.again(initial.PageFiles, err, "tx", "rx")
	}
	if err = create.Free(i.answers, nil, i.useKey); err == nil {
		return next, create.Usable(i.answers)
	}
	if i.asker == nil {
		return next, failure{err}
	}
	n, stopped := i.asker.Choose(ctx, i.answers.Key+" exists already", []string{"Use that pair key", "Stop"})
	if stopped != nil || n == 1 {
		return next, failure{form.ErrStopped}
	}
	i.useKey = true
	return next, create.Usable(i.answers)
}

// retry is what a person may change when the plant does not answer.
type retry struct {
	next    initial.Page
	address string         // flag of the address, on PageSources
	page    initial.Page   // with the login
	login   *initial.Login // nil: there is none yet
}

// ask asks the plant something. Where it does not answer as hoped a person decides what to do;
// without one it ends, unless --yes goes on.
func (i *initiation) ask(c *cobra.Command, what func(context.Context, *initial.Answers) error, r retry,
) (initial.Page, error) {
	for ctx := c.Context(); ; {
		if i.offline {
			return r.next, nil
		}
		err := i.askPlant(c, what, r.address)
		switch {
		case err == nil:
			return r.next, nil
		case ctx.Err() == nil && i.asker != nil:
			next, again, err := i.decide(ctx, err, r)
			if !again {
				return next, err
			}
			continue
		case ctx.Err() != nil || !i.yes:
			return r.next, failure{fmt.Errorf("%w\nnothing was written: --yes goes on all the same, --offline does "+
				"not ask", err)}
		}
		fmt.Fprintf(c.ErrOrStderr(), "heliograph: %v\nGoing on without it.\n", err)
		return r.next, nil
	}
}

// askPlant shows that the plant is asked something.
func (i *initiation) askPlant(c *cobra.Command, what func(context.Context, *initial.Answers) error,
	address string) error {
	notes := i.notes
	defer func() { i.notes, i.slow = notes, nil }()
	asked := map[string]string{"opcua": i.answers.OPCUA, "mqtt": i.answers.MQTT}[address]
	return during(c, "asking "+asked, func(l *progress.Line) error {
		i.notes, i.slow = l.Writer(notes), l
		return what(c.Context(), &i.answers)
	})
}

// decide has a person choose what to do about an error.
func (i *initiation) decide(ctx context.Context, why error, r retry) (next initial.Page, again bool, err error) {
	const address, login, repeat, skip, stop = "Change the address", "Change the login", "Ask again",
		"Go on without it", "Stop"
	options := []string{address, repeat, skip, stop}
	i.skipped[r.address] = false
	if r.login != nil {
		options = append([]string{login}, options...)
	}
	n, err := i.asker.Choose(ctx, why.Error(), options)
	if err != nil {
		return r.next, false, failure{err}
	}
	switch options[n] {
	case login:
		*r.login = initial.Login{Name: r.login.Name}
		i.forget(r.address+"-security", r.address+"-user", r.address+"-password-file")
		return r.page, false, nil
	case address:
		i.forget(r.address)
		return initial.PageOf(r.address), false, nil
	case repeat:
		return r.next, true, nil
	case skip:
		i.skipped[r.address] = true
		return r.next, false, nil
	}
	return r.next, false, failure{form.ErrStopped}
}

// review shows what will be written, and has a person say so.
func (i *initiation) review(ctx context.Context) error {
	if i.asker == nil {
		return nil
	}
	a := i.answers
	var sources []string
	for n, one := range a.Each() {
		all := []string{one.OPCUA, one.MQTT, one.Syslog}
		if n == 0 {
			all = []string{i.named("opcua", a.OPCUA), i.named("mqtt", a.MQTT), a.Syslog}
		}
		sources = append(sources, slices.DeleteFunc(all, func(s string) bool { return s == "" })...)
	}
	title := fmt.Sprintf("Pair %s on %s, over %s: %s", a.Pair, a.Board, a.Medium, strings.Join(sources, ", "))
	n, err := i.asker.Choose(ctx, title, []string{"Write " + a.TX + ", " + a.RX + " and what they need", "Stop"})
	if err == nil && n == 1 {
		err = form.ErrStopped
	}
	if err != nil {
		return failure{err}
	}
	return nil
}
