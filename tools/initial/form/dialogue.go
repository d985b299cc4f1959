package form

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"strconv"
	"strings"

	"heliograph/tools/initial"
)

// Dialogue asks line by line, without moving the cursor.
type Dialogue struct {
	In  *bufio.Reader
	Out io.Writer
	// Password reads a line that is not shown; nil reads it as any other.
	Password func() (string, error)
}

// maxLine bounds a line that is read, in bytes.
const maxLine = 4096

// Page is Form.Page.
func (d Dialogue) Page(ctx context.Context, title string, list []initial.Question, a *initial.Answers) error {
	fmt.Fprintf(d.Out, "\n%s\n", title)
	for _, q := range list {
		if err := d.ask(ctx, q, a); err != nil {
			return err
		}
	}
	return nil
}

// Keep is Form.Keep: the answers are on the screen.
func (d Dialogue) Keep(string) {}

// ask repeats a question until its answer will do.
func (d Dialogue) ask(ctx context.Context, q initial.Question, a *initial.Answers) error {
	answer := into(q, a)
	suggested, prompt := *answer, q.Title
	if q.Secret != nil {
		suggested = ""
	}
	if q.Options != nil {
		fmt.Fprintf(d.Out, "  (%s)\n", q.Hint())
		for i, o := range q.Options(*a) {
			fmt.Fprintf(d.Out, "  %d  %s\n", i+1, o)
		}
	}
	if suggested != "" {
		prompt += " [" + suggested + "]"
	}
	for {
		fmt.Fprintf(d.Out, "  %s: ", prompt)
		line, err := d.line(ctx, q.Secret != nil)
		if err != nil {
			return err
		}
		if line == "" {
			line = suggested
		}
		if q.Options != nil {
			line = numbered(line, q.Options(*a))
		}
		if q.Secret == nil && line == "none" {
			line = ""
		}
		err = words(q.Verify(*a, line))
		if err == nil {
			*answer = line
			return nil
		}
		fmt.Fprintf(d.Out, "    %v\n", err)
	}
}

// numbered returns the option of a number, or what was written.
func numbered(line string, options []string) string {
	if n, err := strconv.Atoi(line); err == nil && n > 0 && n <= len(options) {
		return options[n-1]
	}
	return line
}

// line reads one. A context that ends leaves the read behind, for the program ends too.
func (d Dialogue) line(ctx context.Context, secret bool) (string, error) {
	type read struct {
		line string
		err  error
	}
	done := make(chan read, 1)
	go func() {
		if secret && d.Password != nil {
			line, err := d.Password()
			fmt.Fprintln(d.Out)
			done <- read{line, err}
			return
		}
		line, err := d.In.ReadString('\n')
		if line != "" { // the last line needs no end
			err = nil
		}
		done <- read{strings.TrimSpace(line), err}
	}()
	select {
	case <-ctx.Done():
		return "", ErrStopped
	case r := <-done:
		if r.err != nil || len(r.line) > maxLine {
			return "", ErrStopped
		}
		return r.line, nil
	}
}

// Choose is Form.Choose. The first option is suggested.
func (d Dialogue) Choose(ctx context.Context, title string, options []string) (int, error) {
	fmt.Fprintf(d.Out, "\n%s\n", title)
	for i, o := range options {
		fmt.Fprintf(d.Out, "  %d  %s\n", i+1, o)
	}
	for {
		fmt.Fprintf(d.Out, "  A number [1]: ")
		line, err := d.line(ctx, false)
		if err != nil {
			return 0, err
		}
		if line == "" {
			return 0, nil
		}
		if n, err := strconv.Atoi(line); err == nil && n > 0 && n <= len(options) {
			return n - 1, nil
		}
		fmt.Fprintf(d.Out, "    write a number from 1 to %d\n", len(options))
	}
}
