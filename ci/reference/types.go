package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"go/ast"
	"go/constant"
	"go/importer"
	"go/parser"
	"go/token"
	"go/types"
	"io"
	"iter"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

// listed is a package as the go command lists it.
type listed struct {
	ImportPath, Dir, Export string
	GoFiles, Imports        []string
}

// listing has the packages of the firmware and all that they import.
type listing struct {
	packages  map[string]listed
	order     []string
	positions *token.FileSet
	importer  types.Importer
}

// listPackages has the go command compile the firmware as "make build" does, and list it.
func listPackages(source string) (*listing, error) {
	c := exec.Command("go", "list", "-export", "-deps", "-json=ImportPath,Dir,Export,GoFiles,Imports",
		"./firmware/...")
	c.Dir, c.Env = source, append(os.Environ(), "CGO_ENABLED=0", "GOFLAGS=-trimpath", "GOOS=linux")
	said, err := c.Output()
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		return nil, fmt.Errorf("go list: %v\n%s", err, exit.Stderr)
	} else if err != nil {
		return nil, err
	}
	l := &listing{packages: map[string]listed{}, positions: token.NewFileSet()}
	for d := json.NewDecoder(strings.NewReader(string(said))); ; {
		var p listed
		if err := d.Decode(&p); err == io.EOF {
			break
		} else if err != nil {
			return nil, err
		}
		l.packages[p.ImportPath], l.order = p, append(l.order, p.ImportPath)
	}
	l.importer = importer.ForCompiler(l.positions, "gc", func(path string) (io.ReadCloser, error) {
		return os.Open(l.packages[path].Export)
	})
	return l, nil
}

// importing are the packages of this module that import another.
func (l *listing) importing(path string) (list []string) {
	for _, name := range l.order {
		if strings.HasPrefix(name, module) && slices.Contains(l.packages[name].Imports, path) {
			list = append(list, name)
		}
	}
	return list
}

// checked is a package whose types are known.
type checked struct {
	files []*ast.File
	info  *types.Info
}

func (l *listing) check(name string) (checked, error) {
	p := l.packages[name]
	c := checked{info: &types.Info{Types: map[ast.Expr]types.TypeAndValue{}, Uses: map[*ast.Ident]types.Object{},
		Defs: map[*ast.Ident]types.Object{}}}
	for _, file := range p.GoFiles {
		f, err := parser.ParseFile(l.positions, filepath.Join(p.Dir, file), nil, parser.SkipObjectResolution)
		if err != nil {
			return c, err
		}
		c.files = append(c.files, f)
	}
	_, err := (&types.Config{Importer: l.importer}).Check(name, l.positions, c.files, c.info)
	return c, err
}

// calls are those of a function of another package, with the constant that is their first
// argument.
func (c checked) calls(path, function string) iter.Seq2[*ast.CallExpr, string] {
	return func(yield func(*ast.CallExpr, string) bool) {
		for _, f := range c.files {
			for n := range ast.Preorder(f) {
				call, ok := n.(*ast.CallExpr)
				if !ok {
					continue
				}
				selector, ok := call.Fun.(*ast.SelectorExpr)
				if !ok || selector.Sel.Name != function {
					continue
				}
				used := c.info.Uses[selector.Sel]
				first := c.info.Types[call.Args[0]].Value
				if used == nil || used.Pkg() == nil || used.Pkg().Path() != path || first == nil {
					continue
				}
				if !yield(call, constant.StringVal(first)) {
					return
				}
			}
		}
	}
}
