package config

import (
	"errors"
	"fmt"
	"io"
	"reflect"
	"strings"

	"github.com/pelletier/go-toml/v2"

	"heliograph/firmware/platform/text"
)

const maxFile = 1 << 20 // bytes of a configuration file

// decode decodes a document into a raw struct. Invalid TOML is one fault, and ends the
// check; unknown keys and wrong types are a fault each, so that one run shows them all.
// other is the raw struct of the other role: the fault for one of its keys says so.
func (r *report) decode(from io.Reader, raw, other any) error {
	document, err := io.ReadAll(io.LimitReader(from, maxFile+1))
	if err != nil {
		return fmt.Errorf("config: reading %s: %w", r.file, err)
	}
	if len(document) > maxFile {
		r.faultAt(1, "the file is larger than 1 MiB: is it a configuration?")
		return r.err()
	}
	if text.IsUTF16(document) {
		r.faultAt(1, "the file is UTF-16: save it as UTF-8, in Notepad with \"Save as\", \"Encoding\"")
		return r.err()
	}
	document = text.TrimMark(document)
	var tree map[string]any
	if err := toml.Unmarshal(document, &tree); err != nil {
		line, message := 1, err.Error()
		if d, ok := errors.AsType[*toml.DecodeError](err); ok {
			line, _ = d.Position()
			message = strings.TrimPrefix(d.Error(), "toml: ")
		}
		r.faultAt(line, "not valid TOML: %s", message)
		return r.err()
	}
	r.lines = findLines(document)
	r.fill("", tree, reflect.ValueOf(raw).Elem(), reflect.TypeOf(other).Elem())
	return nil
}

// fill copies one table into a struct by its toml tags. other is the struct of this table
// in the other role, nil if that has no such table.
func (r *report) fill(a tablePath, table map[string]any, into reflect.Value, other reflect.Type) {
	for key, value := range table {
		i := fieldOf(into.Type(), key)
		if i < 0 {
			r.unknownKey(a, key, into.Type(), other)
			continue
		}
		var twin reflect.Type
		if other != nil {
			if j := fieldOf(other, key); j >= 0 {
				twin = other.Field(j).Type
			}
		}
		r.setField(a, key, value, into.Field(i), twin)
	}
}

func (r *report) setField(a tablePath, key string, value any, into reflect.Value, twin reflect.Type) {
	switch into.Kind() {
	case reflect.Struct:
		if table, ok := value.(map[string]any); ok {
			r.fill(tablePath(a.key(key)), table, into, twin)
			return
		}
		r.mistype(a, key, "%s must be a table: write [%s]", key, key)
	case reflect.Slice:
		r.setList(a, key, value, into, twin)
	default:
		v := reflect.ValueOf(value)
		if v.Type() != into.Type() {
			r.mistype(a, key, "%s must be %s, not %s", key, kindName(into.Interface()), kindName(value))
			return
		}
		if v.Kind() == reflect.String && v.Len() == 0 && hasDefault(key) {
			r.mistype(a, key, "%s is empty: write a value, or delete the line for the default", key)
		}
		into.Set(v)
	}
}

// hasDefault reports whether a key of text has a default that an empty text would hide.
// Of the other keys some may be empty, such as users_file, and the rest must be there.
func hasDefault(key string) bool {
	switch key {
	case "address_space", "channel_state", "class", "client_id", "directory", "disk", "history_size",
		"late", "memory", "overhead", "publishing_interval", "rate", "rebrowse", "security_mode", "security_policy",
		"speed", "spool", "stale_after", "state", "version":
		return true
	}
	return false
}

func (r *report) setList(a tablePath, key string, value any, into reflect.Value, twin reflect.Type) {
	tables := into.Type().Elem().Kind() == reflect.Struct
	list, ok := value.([]any)
	if !ok && tables {
		r.mistype(a, key, "%s is a list of tables: write [[%s]]", key, key)
		return
	}
	if !ok {
		r.mistype(a, key, "%s must be a list of strings, as in [\"a\", \"b\"]", key)
		return
	}
	if twin != nil && twin.Kind() == reflect.Slice {
		twin = twin.Elem()
	}
	out := reflect.MakeSlice(into.Type(), len(list), len(list))
	for i, item := range list {
		switch item := item.(type) {
		case map[string]any:
			if tables {
				r.fill(element(a.key(key), i), item, out.Index(i), twin)
				continue
			}
		case string:
			if !tables && strings.TrimSpace(item) == "" {
				r.mistype(a, key, "%s must not hold an empty string", key)
				continue
			}
			if !tables {
				out.Index(i).SetString(item)
				continue
			}
		}
		r.mistype(a, key, "%s must not hold %s", key, kindName(item))
	}
	into.Set(out)
}

func (r *report) unknownKey(a tablePath, key string, known, other reflect.Type) {
	where := "at the top of the file"
	if a != "" {
		name, _, _ := strings.Cut(string(a), "[")
		where = "in " + name
	}
	if other != nil && fieldOf(other, key) >= 0 {
		r.fault(a, key, "the key %q belongs in the other board's file", key)
		return
	}
	if near := nearest(key, known); near != "" {
		r.fault(a, key, "unknown key %q %s; did you mean %q?", key, where, near)
		return
	}
	r.fault(a, key, "unknown key %q %s", key, where)
}

// fieldOf returns the index of the field with the tag, or -1.
func fieldOf(t reflect.Type, key string) int {
	if t.Kind() != reflect.Struct {
		return -1
	}
	for i := range t.NumField() {
		if t.Field(i).Tag.Get("toml") == key {
			return i
		}
	}
	return -1
}

// nearest returns the key of t that is a typing error away from key, or "".
func nearest(key string, t reflect.Type) string {
	best, closest := "", 1+max(1, len(key)/3)
	for i := range t.NumField() {
		name := t.Field(i).Tag.Get("toml")
		if d := distance(key, name); d < closest {
			best, closest = name, d
		}
	}
	return best
}

// distance is the Levenshtein distance. Of a long key, which no known one resembles, it is
// the length.
func distance(a, b string) int {
	if len(a) > 64 {
		return len(a)
	}
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			substitute := diagonal
			if a[i] != b[j] {
				substitute++
			}
			diagonal = row[j+1]
			row[j+1] = min(row[j]+1, row[j+1]+1, substitute)
		}
	}
	return row[len(b)]
}

func kindName(value any) string {
	switch value.(type) {
	case string:
		return "a string"
	case int64:
		return "a whole number"
	case float64:
		return "a number"
	case bool:
		return "true or false"
	case []any:
		return "a list"
	case map[string]any:
		return "a table"
	default:
		return "a date or time"
	}
}
