package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/charmbracelet/x/term"
	"github.com/spf13/cobra"

	"heliograph/firmware/config/users"
)

func userCommand() *cobra.Command {
	return group("user", "Manage who may log in to a server on the IT side", &cobra.Command{
		Use:   "add FILE NAME",
		Short: "Add a user to FILE, or set a new password (read from standard input)",
		Example: "  heliograph user add users ann\n" +
			"  heliograph user add users ann <password.txt",
		Args:    cobra.ExactArgs(2),
		PreRunE: func(_ *cobra.Command, args []string) error { return users.CheckName(args[1]) },
		RunE: failing(func(c *cobra.Command, args []string) error {
			password, err := readPassword(c.InOrStdin(), c.ErrOrStderr())
			if err != nil {
				return err
			}
			return users.Add(args[0], args[1], password)
		}),
	})
}

// readPassword asks twice on a terminal, else takes the first line.
func readPassword(stdin io.Reader, stderr io.Writer) (string, error) {
	if f, ok := stdin.(*os.File); ok && term.IsTerminal(f.Fd()) {
		first, err := ask(f, stderr, "Password: ")
		if err != nil {
			return "", err
		}
		second, err := ask(f, stderr, "Again: ")
		if err != nil {
			return "", err
		}
		if first != second {
			return "", errors.New("the two passwords differ; nothing was changed")
		}
		return first, nil
	}
	line, err := bufio.NewReader(io.LimitReader(stdin, 4096)).ReadString('\n')
	if err != nil && !errors.Is(err, io.EOF) {
		return "", fmt.Errorf("reading the password: %w", err)
	}
	return strings.TrimRight(line, "\r\n"), nil
}

func ask(f *os.File, stderr io.Writer, prompt string) (string, error) {
	fmt.Fprint(stderr, prompt)
	password, err := term.ReadPassword(f.Fd())
	fmt.Fprintln(stderr)
	if err != nil {
		return "", fmt.Errorf("reading the password: %w", err)
	}
	return string(password), nil
}
