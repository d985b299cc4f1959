package main

import (
	"fmt"
	"go/ast"
	"go/constant"
	"go/types"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"

	"heliograph/ci/archtest"
)

// metric is one of /metrics.
type metric struct{ name, labels, help string }

// metrics is the section of /metrics: those of the status itself, and the counters of
// parts.
func metrics(source string) (string, error) {
	p, err := parsePackage(filepath.Join(source, "firmware/platform/status"))
	if err != nil {
		return "", err
	}
	list := described(p)
	if len(list) < 30 {
		return "", fmt.Errorf("found %d metrics of the status, which cannot be all", len(list))
	}
	counters, err := counters(source)
	if err != nil {
		return "", err
	}
	slices.SortStableFunc(counters, func(a, b metric) int { return strings.Compare(a.name, b.name) })
	head := "## Metrics\n\nThose of `/metrics`, beside `go_…` and `process_…` of the client library. A name that " +
		"ends in `_total` is a counter; what says so is a histogram (`…_bucket` with the label `le`, `…_sum` and " +
		"`…_count`); any other is a gauge. TX and RX leave out what they do not know.\n\n"
	return head + metricTable(list) + "\nCounters of parts, which are under `counters` of `/status.json` too " +
		"(`part`, and the rest of the name without `_total`):\n\n" + metricTable(slices.Compact(counters)), nil
}

func metricTable(list []metric) string {
	var rows [][]string
	for _, m := range list {
		rows = append(rows, []string{code("heliograph_" + m.name), m.labels, cell(m.help)})
	}
	return table([]string{"metric", "labels", "meaning"}, rows)
}

// described are the calls of desc: name, help, labels.
func described(p parsed) (list []metric) {
	for _, f := range p.files {
		ast.Inspect(f, func(n ast.Node) bool {
			call, ok := n.(*ast.CallExpr)
			if !ok || len(call.Args) < 2 || nameOf(call.Fun) != "desc" {
				return true
			}
			name, one := text(call.Args[0])
			help, two := text(call.Args[1])
			if !one || !two {
				return true
			}
			var labels []string
			for _, a := range call.Args[2:] {
				if l, ok := text(a); ok {
					labels = append(labels, l)
				}
			}
			list = append(list, metric{name, strings.Join(labels, ", "), help})
			return true
		})
	}
	return list
}

func nameOf(e ast.Expr) string {
	switch e := e.(type) {
	case *ast.Ident:
		return e.Name
	case *ast.SelectorExpr:
		return e.Sel.Name
	}
	return ""
}

// counters are those of the calls of counter.Of, by the tags of the type that each gets.
// Where that is not known, as of a medium, it is any of a driver's.
func counters(source string) (list []metric, err error) {
	l, err := listPackages(source)
	if err != nil {
		return nil, err
	}
	of := module + "firmware/platform/counter"
	for _, name := range l.importing(of) {
		checked, err := l.check(name)
		if err != nil {
			return nil, err
		}
		for call, part := range checked.calls(of, "Of") {
			labels := "channel"
			if v := checked.info.Types[call.Args[1]].Value; v != nil && constant.StringVal(v) == "" {
				labels = ""
			}
			t := checked.info.TypeOf(call.Args[2])
			if pointer, ok := t.Underlying().(*types.Pointer); ok {
				t = pointer.Elem()
			}
			if structure, ok := t.Underlying().(*types.Struct); ok {
				list = append(list, tagged(structure, part, labels)...)
				continue
			}
			drivers, err := driverCounters(source, part)
			if err != nil {
				return nil, err
			}
			list = append(list, drivers...)
		}
	}
	return list, nil
}

// tagged are the counters of a struct and of those in it.
func tagged(s *types.Struct, part, labels string) (list []metric) {
	for i := range s.NumFields() {
		tag := reflect.StructTag(s.Tag(i))
		inner, nested := s.Field(i).Type().Underlying().(*types.Struct)
		switch {
		case tag.Get("count") != "":
			list = append(list, metric{part + "_" + tag.Get("count") + "_total", labels, tag.Get("help")})
		case tag.Get("gauge") != "":
			list = append(list, metric{part + "_" + tag.Get("gauge"), labels, tag.Get("help")})
		case nested && tag.Get("shown") == "":
			list = append(list, tagged(inner, part, labels)...)
		}
	}
	return list
}

func driverCounters(source, part string) (list []metric, err error) {
	all, _, err := archtest.Counters(os.DirFS(source))
	for _, c := range all {
		folder, found := strings.CutPrefix(c.Field, "drivers/")
		if !found || c.Name == "" {
			continue
		}
		name := part + "_" + c.Name
		if !c.Gauge {
			name += "_total"
		}
		medium, _, _ := strings.Cut(folder, "/")
		list = append(list, metric{name, "", medium + ": " + c.Help})
	}
	return list, err
}
