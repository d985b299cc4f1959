package main

import (
	"errors"
	"fmt"
	"go/ast"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strconv"
	"strings"
	"unicode"
)

// key is one of a configuration, as a reference file shows it.
type key struct{ table, name, value, meaning string }

var (
	tableLine = regexp.MustCompile(`^\[+([a-z_]+)\]+`)
	keyLine   = regexp.MustCompile(`^(?:# )?([a-z_]+) *= (.*)$`)
	moreLine  = regexp.MustCompile(`^ {10,}# ?(.*)$`)
	wide      = regexp.MustCompile(`\s{2,}`)
)

// keys is the section of the configurations of both roles.
func keys(source string) (string, error) {
	var b strings.Builder
	var gaps []error
	for _, role := range []struct{ name, file, raw string }{
		{"heliotx", "reference-tx.toml", "rawTX"}, {"heliorx", "reference-rx.toml", "rawRX"}} {
		text, err := os.ReadFile(filepath.Join(source, "firmware/config", role.file))
		if err != nil {
			return "", err
		}
		list := documented(string(text))
		if err := complete(source, role.raw, list); err != nil {
			gaps = append(gaps, fmt.Errorf("%s: %w", role.file, err))
		}
		fmt.Fprintf(&b, "## Keys of %s\n\nThe value is the default or an example. [%[2]s](config/%[2]s) has them as a "+
			"file.\n\n", role.name, role.file)
		var rows [][]string
		for _, k := range list {
			where := ""
			if k.table != "" {
				where = "[" + k.table + "] "
			}
			rows = append(rows, []string{code(where + k.name), code(k.value), cell(k.meaning)})
		}
		b.WriteString(table([]string{"key", "value", "meaning"}, rows) + "\n")
	}
	return strings.TrimSuffix(b.String(), "\n"), errors.Join(gaps...)
}

// documented returns the keys of a reference file, each once, with its first comment.
func documented(text string) (list []key) {
	at := map[string]int{}
	table, last := "", -1
	for line := range strings.Lines(text) {
		line = strings.TrimRight(line, "\n")
		more := moreLine.FindStringSubmatch(line)
		found := keyLine.FindStringSubmatch(line)
		switch t := tableLine.FindStringSubmatch(line); {
		case t != nil:
			table, last = t[1], -1
		case more != nil && last >= 0:
			list[last].meaning = joined(list[last].meaning, more[1])
		case found != nil:
			value, meaning := cutComment(found[2])
			k := key{table, found[1], value, meaning}
			id := table + "." + k.name
			i, known := at[id]
			if !known {
				i = len(list)
				at[id], list = i, append(list, k)
			}
			if last = i; known && (meaning == "" || list[i].meaning != "") {
				last = -1 // it is described already
			} else if known {
				list[i].meaning = meaning
			}
		default:
			last = -1
		}
	}
	for i := range list {
		list[i].meaning = strings.TrimSpace(wide.ReplaceAllString(list[i].meaning, " "))
	}
	return list
}

// joined adds a line of a comment, which may begin a sentence; the name of a constant does not.
func joined(before, line string) string {
	word, _, _ := strings.Cut(line, " ")
	if first := strings.TrimLeft(line, `"`); first != "" && !strings.Contains(word, "_") && unicode.IsUpper(rune(first[0])) &&
		!strings.ContainsAny(before[max(0, len(before)-1):], ".,:;(") && strings.HasPrefix(line, first) {
		before += "."
	}
	return before + " " + line
}

// cutComment cuts the comment from a value, in whose strings "#" may stand.
func cutComment(s string) (value, comment string) {
	quoted := false
	for i, c := range s {
		switch {
		case c == '"':
			quoted = !quoted
		case c == '#' && !quoted:
			return strings.TrimSpace(s[:i]), strings.TrimSpace(s[i+1:])
		}
	}
	return strings.TrimSpace(s), ""
}

// complete compares the keys with those that the raw struct has.
func complete(source, raw string, list []key) error {
	there := map[string]bool{}
	var gaps []error
	for _, k := range list {
		if k.meaning == "" {
			gaps = append(gaps, fmt.Errorf("[%s] %s has no comment", k.table, k.name))
		}
		there[k.table+"."+k.name] = true
	}
	p, err := parsePackage(filepath.Join(source, "firmware/config"))
	if err != nil {
		return err
	}
	err = p.eachKey(raw, "", func(table, name string) error {
		if !there[table+"."+name] {
			gaps = append(gaps, fmt.Errorf("[%s] %s is not described", table, name))
		}
		return nil
	})
	return errors.Join(append(gaps, err)...)
}

// eachKey calls do for the keys of a raw struct and of its tables.
func (p parsed) eachKey(raw, table string, do func(table, name string) error) error {
	structure, ok := p.types[raw].Type.(*ast.StructType)
	if !ok {
		return fmt.Errorf("%s is not a struct", raw)
	}
	for _, f := range structure.Fields.List {
		name := tagOf(f, "toml")
		inner, err := p.structOf(f.Type)
		switch {
		case err == nil && table == "":
			err = p.eachKey(inner, name, do)
		case err == nil:
			err = p.eachKey(inner, table+"."+name, do)
		default:
			err = do(table, name)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// structOf returns the name of the package's struct that a type is, or is a list of.
func (p parsed) structOf(t ast.Expr) (string, error) {
	if list, ok := t.(*ast.ArrayType); ok {
		t = list.Elt
	}
	if pointer, ok := t.(*ast.StarExpr); ok {
		t = pointer.X
	}
	name, ok := t.(*ast.Ident)
	if !ok || p.types[name.Name] == nil {
		return "", fmt.Errorf("not a struct of this package")
	}
	if _, ok := p.types[name.Name].Type.(*ast.StructType); !ok {
		return "", fmt.Errorf("not a struct")
	}
	return name.Name, nil
}

func tagOf(f *ast.Field, name string) string {
	if f.Tag == nil {
		return ""
	}
	text, err := strconv.Unquote(f.Tag.Value)
	if err != nil {
		return ""
	}
	return reflect.StructTag(text).Get(name)
}
