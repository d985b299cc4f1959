package main

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path"
	"path/filepath"
	"strconv"
	"strings"
)

// module is the module's path, with which imports of its own packages begin.
const module = "heliograph/"

// parsed is the source of a package.
type parsed struct {
	folder  string
	files   []*ast.File
	types   map[string]*ast.TypeSpec
	imports map[string]string // of all its files: paths by name
	methods map[string]string // comments of methods, by "Type.Method"
}

// parsePackage parses a folder, without its tests.
func parsePackage(folder string) (parsed, error) {
	p := parsed{folder: folder, types: map[string]*ast.TypeSpec{}, imports: map[string]string{},
		methods: map[string]string{}}
	list, err := os.ReadDir(folder)
	if err != nil {
		return p, err
	}
	positions := token.NewFileSet()
	for _, e := range list {
		if filepath.Ext(e.Name()) != ".go" || strings.HasSuffix(e.Name(), "_test.go") {
			continue
		}
		f, err := parser.ParseFile(positions, filepath.Join(folder, e.Name()), nil, parser.ParseComments)
		if err != nil {
			return p, err
		}
		p.add(f)
	}
	return p, nil
}

func (p *parsed) add(f *ast.File) {
	p.files = append(p.files, f)
	for _, i := range f.Imports {
		name, _ := strconv.Unquote(i.Path.Value)
		local := path.Base(name)
		if i.Name != nil {
			local = i.Name.Name
		}
		p.imports[local] = name
	}
	for _, d := range f.Decls {
		switch d := d.(type) {
		case *ast.GenDecl:
			for _, s := range d.Specs {
				if t, ok := s.(*ast.TypeSpec); ok {
					if t.Doc == nil {
						t.Doc = d.Doc
					}
					p.types[t.Name.Name] = t
				}
			}
		case *ast.FuncDecl:
			if d.Recv != nil {
				if name := receiver(d.Recv.List[0].Type); name != "" {
					p.methods[name+"."+d.Name.Name] = d.Doc.Text()
				}
			}
		}
	}
}

func receiver(t ast.Expr) string {
	if pointer, ok := t.(*ast.StarExpr); ok {
		t = pointer.X
	}
	if name, ok := t.(*ast.Ident); ok {
		return name.Name
	}
	return ""
}

// text is the value of a constant string, or of several that are added.
func text(e ast.Expr) (string, bool) {
	switch e := e.(type) {
	case *ast.BasicLit:
		s, err := strconv.Unquote(e.Value)
		return s, err == nil && e.Kind == token.STRING
	case *ast.BinaryExpr:
		x, one := text(e.X)
		y, two := text(e.Y)
		return x + y, one && two && e.Op == token.ADD
	}
	return "", false
}
