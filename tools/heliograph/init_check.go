package main

import (
	"bytes"
	"errors"
	"io/fs"
	"slices"

	"heliograph/firmware/platform/regular"
	"heliograph/tools/initial"
	"heliograph/tools/initial/create"
)

// check looks at what flags say before anything is asked.
func (i *initiation) check() error {
	a, whole := i.answers, i.asker == nil
	if err := initial.Check(&a, i.given, whole); err != nil {
		return err
	}
	for _, l := range logins(&a) {
		if err := readLogin(l.flag, l.Login); err != nil {
			return err
		}
	}
	if !whole {
		return nil // the files are asked for first
	}
	if err := create.Possible(a); err != nil {
		return err
	}
	if err := create.Free(a, nil, i.useKey); err != nil {
		return failure{err}
	}
	return create.Usable(a)
}

// flagOf returns the flag of the answer that an error is about, "" for none.
func flagOf(err error) string {
	if fault, ok := errors.AsType[initial.Fault](err); ok {
		return fault.Flag
	}
	pointless, _ := errors.AsType[initial.Pointless](err)
	return pointless.Flag
}

// login is one with the flag of its name, less "-user".
type login struct {
	flag string
	*initial.Login
}

func logins(a *initial.Answers) []login {
	return []login{{"opcua", &a.OPCUALogin}, {"mqtt", &a.MQTTLogin}, {"mqtt-to", &a.MQTTToLogin}, {"it", &a.Reader}}
}

// read reads passwords whose files were named, and looks whether those that were typed have a
// place: if not, the questions from a page on are asked again.
func (i *initiation) read(p, from initial.Page, flags ...string) (initial.Page, error) {
	for _, l := range logins(&i.answers) {
		if !slices.Contains(flags, l.flag) {
			continue
		}
		if err := readLogin(l.flag, l.Login); err != nil {
			return p, err
		}
	}
	err := create.Free(i.answers, nil, true)
	if err == nil {
		return p + 1, nil
	}
	again := []string{"users-file"}
	for _, flag := range flags {
		again = append(again, flag+"-user", flag+"-password-file")
	}
	return i.again(from, failure{err}, again...)
}

// reason is why a file is not read, without its name, which the fault has.
func reason(err error) string {
	if wrong, ok := errors.AsType[regular.Error](err); ok {
		return wrong.Words
	}
	if failed, ok := errors.AsType[*fs.PathError](err); ok {
		return failed.Err.Error()
	}
	return err.Error()
}

// maxPasswordFile bounds what is read of a password file, in bytes.
const maxPasswordFile = 64 << 10

// readLogin reads the password of a login whose file was named. Its flag is less "-user".
func readLogin(flag string, l *initial.Login) error {
	if l.Name == "" || l.File == "" {
		return nil
	}
	bad := func(words string) error {
		return initial.Fault{Flag: flag + "-password-file", Answer: l.File, Words: words}
	}
	text, err := regular.Read(l.File, maxPasswordFile)
	if errors.Is(err, fs.ErrNotExist) {
		return bad("there is no such file: write the password of " + l.Name + " into it, in one line")
	}
	if err != nil {
		return bad(reason(err))
	}
	line, rest, _ := bytes.Cut(text, []byte("\n"))
	line = bytes.TrimSuffix(line, []byte("\r"))
	if len(line) == 0 || len(bytes.TrimSpace(rest)) > 0 {
		return bad("it must hold the password of " + l.Name + " in one line")
	}
	l.Password = string(line)
	return nil
}
