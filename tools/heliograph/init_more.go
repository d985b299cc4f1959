package main

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"heliograph/tools/initial"
)

// answerFlag is a flag of a question; those about a source may be repeated, once for each of its kind.
type answerFlag struct {
	first *string
	more  *map[string][]string
	flag  string
	given bool
}

func (a *answerFlag) String() string {
	if a.first == nil {
		return ""
	}
	return *a.first
}

func (a *answerFlag) Type() string { return "string" }

// Set takes an answer.
func (a *answerFlag) Set(s string) error {
	again := a.given && slices.ContainsFunc(initial.Kinds(), func(k string) bool {
		return initial.PerSource(a.flag,
			k)
	})
	a.given = true
	if !again {
		*a.first = s
		return nil
	}
	if *a.more == nil {
		*a.more = map[string][]string{}
	}
	(*a.more)[a.flag] = append((*a.more)[a.flag], s)
	return nil
}

// repeated refuses more answers about sources than there are sources, and empty ones.
func (i *initiation) repeated() error {
	for _, flag := range slices.Sorted(maps.Keys(i.more)) {
		if slices.Contains(i.more[flag], "") {
			return emptyFlag(flag)
		}
		for _, kind := range initial.Kinds() {
			if n := len(i.more[flag]); initial.PerSource(flag, kind) && n > len(i.more[kind]) {
				return fmt.Errorf("--%s is given %d times, and --%s %d times: give each --%s its own", flag, n+1, kind,
					len(i.more[kind])+1, kind)
			}
		}
	}
	return nil
}

// further asks for the sources after the first of each kind.
func (i *initiation) further(c *cobra.Command) error {
	for _, kind := range initial.Kinds() {
		for n := range i.more[kind] {
			if err := i.source(c, kind, n); err != nil {
				return err
			}
		}
	}
	for i.asker != nil {
		kind, err := i.another(c.Context())
		if kind == "" || err != nil {
			return err
		}
		if err := i.source(c, kind, -1); err != nil {
			return err
		}
	}
	return nil
}

// another has a person say whether there is a further source, and of which kind.
func (i *initiation) another(ctx context.Context) (kind string, err error) {
	kinds := initial.Kinds()
	n, err := i.asker.Choose(ctx, "Another source in the plant", []string{"No", "Another OPC UA server",
		"Another MQTT broker", "More syslog listeners"})
	if err != nil {
		return "", failure{err}
	}
	return append([]string{""}, kinds...)[n], nil
}

// source goes through the pages about one more source. n says which of the repeated flags are
// about it; -1: none.
func (i *initiation) source(c *cobra.Command, kind string, n int) error {
	base, given, asked, seen := i.answers, i.given, i.asked, i.found
	i.answers, i.given, i.asked, i.found = base.Further(kind), initial.Given{}, map[string]bool{}, found{}
	for _, q := range initial.Questions() {
		if answers := i.more[q.Flag]; n >= 0 && n < len(answers) && initial.PerSource(q.Flag, kind) {
			*q.Field(&i.answers), i.given[q.Flag] = answers[n], true
		}
	}
	var err error
	for _, l := range logins(&i.answers) {
		if err == nil {
			err = readLogin(l.flag, l.Login)
		}
	}
	if err == nil {
		err = i.through(c, initial.PageSources, initial.PageITPassword)
	}
	if err == nil {
		err = initial.First(i.answers)
	}
	more, about := i.answers, i.found
	i.answers, i.given, i.asked, i.found = base, given, asked, seen
	if err != nil {
		return err
	}
	i.answers.More, i.found.More = append(base.More, more), append(seen.More, about)
	if i.asker != nil {
		i.asker.Keep("And " + strings.Join(slices.DeleteFunc([]string{more.OPCUA, more.MQTT, more.Syslog},
			func(s string) bool { return s == "" }), ", "))
	}
	return nil
}
