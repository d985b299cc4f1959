package main

import (
	"fmt"
	"go/ast"
	"path/filepath"
	"strings"
)

// statusReader walks the types of /status.json.
type statusReader struct {
	source   string
	packages map[string]parsed
	rows     [][]string
}

// status is the section of /status.json.
func status(source string) (string, error) {
	r := &statusReader{source: source, packages: map[string]parsed{}}
	if err := r.walk("firmware/platform/status", "Snapshot", ""); err != nil {
		return "", err
	}
	return "## Status\n\nThe fields of `/status.json`. TX and RX leave out what they do not know. NAME is a " +
		"channel's. `counters[]` has `part`, `channel` and `values`, whose names are under [metrics](#metrics).\n\n" +
		table([]string{"field", "type", "meaning"}, r.rows), nil
}

func (r *statusReader) load(folder string) (parsed, error) {
	p, ok := r.packages[folder]
	if ok {
		return p, nil
	}
	p, err := parsePackage(filepath.Join(r.source, filepath.FromSlash(folder)))
	r.packages[folder] = p
	return p, err
}

// walk adds the fields of a type; prefix is the path of what has that type.
func (r *statusReader) walk(folder, name, prefix string) error {
	p, err := r.load(folder)
	if err != nil {
		return err
	}
	spec := p.types[name]
	if spec == nil {
		return fmt.Errorf("%s: there is no type %s", folder, name)
	}
	if spec.Assign.IsValid() { // an alias
		return r.follow(p, folder, spec.Type, prefix)
	}
	structure, ok := spec.Type.(*ast.StructType)
	if _, own := p.methods[name+".MarshalJSON"]; !ok || own {
		return nil
	}
	for _, f := range structure.Fields.List {
		tag, _, _ := strings.Cut(tagOf(f, "json"), ",")
		if tag == "-" {
			continue
		}
		if len(f.Names) == 0 && tag == "" {
			if err := r.follow(p, folder, f.Type, prefix); err != nil {
				return err
			}
			continue
		}
		meaning := strings.TrimSpace(strings.Join(strings.Fields(f.Doc.Text()+" "+f.Comment.Text()), " "))
		at := prefix + tag
		if meaning == "" {
			return fmt.Errorf("%s: %s, a field of %s, has no comment that says what it is", folder, at, name)
		}
		kind := r.kind(p, folder, f.Type)
		r.rows = append(r.rows, []string{code(at), kind, cell(meaning)})
		switch t := pointed(f.Type).(type) {
		case *ast.MapType:
			err = r.follow(p, folder, t.Value, at+".NAME.")
		case *ast.ArrayType:
			err = r.follow(p, folder, t.Elt, at+"[].")
		default:
			err = r.follow(p, folder, f.Type, at+".")
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func pointed(t ast.Expr) ast.Expr {
	if p, ok := t.(*ast.StarExpr); ok {
		return p.X
	}
	return t
}

// follow walks the type that an expression of a package names, if it is one of this module.
func (r *statusReader) follow(p parsed, folder string, t ast.Expr, prefix string) error {
	switch t := pointed(t).(type) {
	case *ast.Ident:
		if p.types[t.Name] != nil {
			return r.walk(folder, t.Name, prefix)
		}
	case *ast.SelectorExpr:
		if at, ok := strings.CutPrefix(p.imports[t.X.(*ast.Ident).Name], module); ok {
			return r.walk(at, t.Sel.Name, prefix)
		}
	}
	return nil
}

// kind is the JSON type of a field.
func (r *statusReader) kind(p parsed, folder string, t ast.Expr) string {
	switch t := pointed(t).(type) {
	case *ast.ArrayType:
		return "list"
	case *ast.MapType:
		return "object"
	case *ast.Ident:
		switch {
		case t.Name == "string" || t.Name == "bool":
			return t.Name
		case p.types[t.Name] == nil:
			return "number"
		}
		return r.kind(p, folder, p.types[t.Name].Type)
	case *ast.SelectorExpr:
		path := p.imports[t.X.(*ast.Ident).Name]
		at, own := strings.CutPrefix(path, module)
		switch {
		case path == "time" && t.Sel.Name == "Time":
			return "time"
		case !own:
			return "string"
		}
		if other, err := r.load(at); err == nil && other.types[t.Sel.Name] != nil {
			return r.kind(other, at, other.types[t.Sel.Name].Type)
		}
	}
	return "object"
}
