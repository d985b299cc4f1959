package archtest

import (
	"fmt"
	"go/ast"
	"io/fs"
	"maps"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// Counter is one counter that the firmware keeps (see package counter).
type Counter struct {
	Field string // package.Type.Field
	Name  string // of the metric, without part and "_total"; "" where Shown stands
	Help  string
	Gauge bool   // a level, which may fall
	Shown string // path in /status.json, where the role shows it by hand
}

// counterType is the name of a type that holds counters.
var counterType = regexp.MustCompile(`(^|[a-z])(Stats|Counts|Counters|Refusals|stats|counts|counters)$`)

// metricName is what a counter may be called: words of letters.
var metricName = regexp.MustCompile(`^[a-z]+(_[a-z]+)*$`)

// Counters returns every counter of the firmware and its drivers, and what breaks
// the rules for them, one line each.
func Counters(root fs.FS) (counters []Counter, faults []string, err error) {
	packages, err := load(root)
	if err != nil {
		return nil, nil, err
	}
	for _, folder := range slices.Sorted(maps.Keys(packages)) {
		if !strings.HasPrefix(folder, "firmware/") && !strings.HasPrefix(folder, "drivers/") ||
			strings.HasPrefix(folder, "firmware/conduit/linktest") {
			continue
		}
		for _, s := range packages[folder] {
			if !s.test {
				c, f := countersOf(s)
				counters, faults = append(counters, c...), append(faults, f...)
			}
		}
	}
	seen := map[string]string{}
	for _, c := range counters {
		if id := c.Name + c.Help; c.Name != "" && seen[id] != "" {
			faults = append(faults, fmt.Sprintf("%s: same name and help as %s; say what is counted", c.Field, seen[id]))
		} else if c.Name != "" {
			seen[id] = c.Field
		}
	}
	return counters, faults, nil
}

func countersOf(s source) (counters []Counter, faults []string) {
	ast.Inspect(s.file, func(n ast.Node) bool {
		spec, ok := n.(*ast.TypeSpec)
		if !ok || !counterType.MatchString(spec.Name.Name) {
			return true
		}
		structure, ok := spec.Type.(*ast.StructType)
		if !ok {
			return true
		}
		for _, f := range structure.Fields.List {
			names := []string{typeName(f.Type)}
			if len(f.Names) > 0 {
				names = names[:0]
				for _, name := range f.Names {
					names = append(names, name.Name)
				}
			}
			if of := typeName(f.Type); counterType.MatchString(of) || of == "string" || of == "bool" {
				continue // declares its own, or does not count
			}
			for _, name := range names {
				c, fault := counterOf(f, fmt.Sprintf("%s: %s.%s", s.path, spec.Name.Name, name))
				if fault != "" {
					faults = append(faults, fault)
				} else {
					counters = append(counters, c)
				}
			}
		}
		return true
	})
	return counters, faults
}

func typeName(e ast.Expr) string {
	switch e := e.(type) {
	case *ast.Ident:
		return e.Name
	case *ast.SelectorExpr:
		return e.Sel.Name
	}
	return ""
}

// counterOf reads the tag of a field.
func counterOf(f *ast.Field, field string) (Counter, string) {
	if f.Tag == nil {
		return Counter{}, field + ": a counter without a tag is shown nowhere; see package counter"
	}
	text, err := strconv.Unquote(f.Tag.Value)
	tag := reflect.StructTag(text)
	c := Counter{Field: field, Name: tag.Get("count") + tag.Get("gauge"), Help: tag.Get("help"),
		Gauge: tag.Get("gauge") != "", Shown: tag.Get("shown")}
	switch {
	case err != nil || (c.Name == "") == (c.Shown == ""):
		return c, field + ": wants one of the tags count, gauge and shown; see package counter"
	case c.Name != "" && (!metricName.MatchString(c.Name) || c.Help == ""):
		return c, fmt.Sprintf("%s: %q wants a name like noun_unit, letters alone, and a help text", field, c.Name)
	case len(f.Names) > 1 && c.Name != "":
		return c, field + ": two fields share one tag"
	}
	return c, ""
}
