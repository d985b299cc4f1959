package initial

import (
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"
)

// document is a TOML text that is being written: tables of keys, their comments in a column.
type document struct {
	b     strings.Builder
	lines [][2]string // of the table so far: key and comment
}

// note writes a comment of its own; more lines are commands below it.
func (d *document) note(words string, commands ...string) {
	fmt.Fprintf(&d.b, "# %s\n", words)
	for _, c := range commands {
		fmt.Fprintf(&d.b, "#   %s\n", c)
	}
}

func (d *document) table(name string) {
	d.flush()
	d.b.WriteString("\n" + name + "\n")
}

// key writes a key with its value, a string, a list of them or a bool.
func (d *document) key(name string, v any, comment string) {
	d.lines = append(d.lines, [2]string{name + "\x00" + value(v), comment})
}

// number writes a key whose value is a number as it was answered.
func (d *document) number(name, digits, comment string) {
	d.lines = append(d.lines, [2]string{name + "\x00" + digits, comment})
}

// off writes a key that is commented out.
func (d *document) off(name string, v any, comment string) { d.key("# "+name, v, comment) }

// flush writes the lines of a table, aligned.
func (d *document) flush() {
	name, left := 0, 0
	texts := make([]string, len(d.lines))
	for _, l := range d.lines {
		key, _, _ := strings.Cut(l[0], "\x00")
		if !strings.HasPrefix(key, "#") {
			name = max(name, len(key))
		}
	}
	for i, l := range d.lines {
		key, v, _ := strings.Cut(l[0], "\x00")
		texts[i] = fmt.Sprintf("%-*s = %s", name, key, v)
		left = max(left, min(widest, utf8.RuneCountInString(texts[i])))
	}
	for i, l := range d.lines {
		d.b.WriteString(texts[i])
		if l[1] != "" {
			pad := max(0, left-utf8.RuneCountInString(texts[i]))
			d.b.WriteString(strings.Repeat(" ", pad) + "  # " + l[1])
		}
		d.b.WriteByte('\n')
	}
	d.lines = d.lines[:0]
}

// widest is the column up to which comments are moved right for a long value.
const widest = 46

// String returns the text.
func (d *document) String() string {
	d.flush()
	return d.b.String()
}

func value(v any) string {
	switch v := v.(type) {
	case bool:
		return strconv.FormatBool(v)
	case []string:
		parts := make([]string, len(v))
		for i, s := range v {
			parts[i] = strconv.Quote(s)
		}
		return "[" + strings.Join(parts, ", ") + "]"
	}
	return strconv.Quote(fmt.Sprint(v))
}

// quote returns an argument as a shell takes it.
func quote(s string) string {
	safe := func(c rune) bool {
		return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' ||
			strings.ContainsRune("-_./:=@+,", c)
	}
	if s != "" && !strings.ContainsFunc(s, func(c rune) bool { return !safe(c) }) {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}
