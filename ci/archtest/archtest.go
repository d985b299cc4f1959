// Package archtest states the architecture as rules and finds what breaks them.
//
// It reads the sources themselves with go/parser, in this process: a cached
// answer of another tool could be a false one. Rules hold for all files, with
// any build tag. Test files are held to the wall and to rules of style
// alone: an end-to-end test needs both sides and stands in ci/.
package archtest

import (
	"bytes"
	"fmt"
	"go/ast"
	"go/format"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"path"
	"slices"
	"strconv"
	"strings"
)

// source is one parsed file.
type source struct {
	path  string
	text  []byte
	file  *ast.File
	lines *token.File
	test  bool
}

// line returns the number of the line that has a position.
func (s source) line(p token.Pos) int { return s.lines.Line(p) }

// tree maps each package's folder to its files.
type tree map[string][]source

// Check reads a module from its root folder and returns what breaks a rule,
// one line each.
func Check(root fs.FS, module string) ([]string, error) {
	packages, err := load(root)
	if err != nil {
		return nil, err
	}
	var faults []string
	for _, folder := range slices.Sorted(maps.Keys(packages)) {
		faults = append(faults, checkPackage(folder, packages[folder], module)...)
	}
	faults = append(faults, checkWalls(packages, module)...)
	return faults, nil
}

// load parses every Go file but those of testdata and hidden folders. What does
// not parse is an error.
func load(root fs.FS) (tree, error) {
	packages := tree{}
	positions := token.NewFileSet()
	err := fs.WalkDir(root, ".", func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			if name := d.Name(); name == "testdata" || name == "node_modules" || len(name) > 1 && name[0] == '.' {
				return fs.SkipDir
			}
			return nil
		}
		if path.Ext(p) != ".go" {
			return nil
		}
		text, err := fs.ReadFile(root, p)
		if err != nil {
			return err
		}
		file, err := parser.ParseFile(positions, p, text, parser.ParseComments|parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		folder := path.Dir(p)
		packages[folder] = append(packages[folder], source{
			path: p, text: text, file: file, lines: positions.File(file.Pos()), test: strings.HasSuffix(p, "_test.go"),
		})
		return nil
	})
	return packages, err
}

func checkPackage(folder string, files []source, module string) []string {
	var faults []string
	documented, code, total := false, false, 0
	r, known := ruleOf(folder)
	if !known {
		faults = append(faults, folder+": no rule for this package; add one to ci/archtest/rules.go")
	}
	if below, ok := strings.CutPrefix(folder, "firmware/"); ok {
		if room, _, _ := strings.Cut(below, "/"); !slices.Contains(rooms(), room) {
			faults = append(faults, fmt.Sprintf("%s: not in a room of firmware: %s", folder,
				strings.Join(rooms(), ", ")))
		}
	}
	for _, s := range files {
		faults = append(faults, checkFormat(s)...)
		if !fitsAny(unwrapped(), folder) && !slices.Contains(unwrapped(), s.path) {
			faults = append(faults, checkColumns(s)...)
		}
		if folder != "ci/archtest" { // which names them
			faults = append(faults, checkWords(s)...)
		}
		faults = append(faults, checkResults(s)...)
		if s.test {
			continue
		}
		code = true
		documented = documented || s.file.Doc.Text() != ""
		lines := bytes.Count(s.text, []byte("\n"))
		total += lines
		if lines > maxLines {
			faults = append(faults, fmt.Sprintf("%s: %d lines; split it by stage below %d", s.path, lines, maxLines))
		}
		faults = append(faults, checkInit(s)...)
		faults = append(faults, checkBodies(s)...)
		faults = append(faults, checkLogs(s)...)
		if fitsAny(durable(), folder) && !fitsAny(renaming(), folder) {
			faults = append(faults, checkRename(s)...)
		}
		if known {
			faults = append(faults, checkImports(folder, s, r, module)...)
		}
		if !fitsAny(testOnly(), folder) {
			faults = append(faults, checkTestOnly(folder, s, module)...)
		}
		if known && r.pure {
			faults = append(faults, checkPure(s)...)
		}
	}
	if known && r.most > 0 && total > r.most {
		faults = append(faults, fmt.Sprintf("%s: %d lines without tests; keep flags, drivers and signals, at most %d",
			folder, total, r.most))
	}
	if code && !documented {
		faults = append(faults, folder+": no doc comment: say what the package is and what it refuses to do")
	}
	return faults
}

func ruleOf(folder string) (rule, bool) {
	for _, r := range rules() {
		if fits(r.path, folder) {
			return r, true
		}
	}
	return rule{}, false
}

// fits says whether a path matches a pattern: equal, or below "x/...".
func fits(pattern, p string) bool {
	if pattern == "..." {
		return true
	}
	base, deep := strings.CutSuffix(pattern, "/...")
	return p == base || deep && strings.HasPrefix(p, base+"/")
}

func fitsAny(patterns []string, p string) bool {
	return slices.ContainsFunc(patterns, func(pattern string) bool { return fits(pattern, p) })
}

func checkFormat(s source) []string {
	formatted, err := format.Source(s.text)
	if err != nil || !bytes.Equal(formatted, s.text) {
		return []string{s.path + ": not gofmt'ed"}
	}
	return nil
}

func checkInit(s source) []string {
	for _, d := range s.file.Decls {
		if f, ok := d.(*ast.FuncDecl); ok && f.Recv == nil && f.Name.Name == "init" {
			return []string{s.path + ": has an init function"}
		}
	}
	return nil
}

// checkRename finds renames that nothing puts on the disk.
func checkRename(s source) (faults []string) {
	ast.Inspect(s.file, func(n ast.Node) bool {
		if e, ok := n.(*ast.SelectorExpr); ok && e.Sel.Name == "Rename" {
			if on, ok := e.X.(*ast.Ident); ok && on.Name == "os" {
				faults = append(faults, s.path+": uses os.Rename, which a power cut can undo; use "+
					"store.ReplaceFile or store.Rename")
			}
		}
		return true
	})
	return faults
}

func checkImports(folder string, s source, r rule, module string) []string {
	var faults []string
	for _, imported := range imports(s.file) {
		inside, own := strings.CutPrefix(imported, module+"/")
		if own && inside != folder && !fitsAny(r.may, inside) {
			faults = append(faults, fmt.Sprintf("%s: imports %s, which the rule for %s does not allow", s.path, inside,
				r.path))
		}
		if !own && r.pure && fitsAny(impure(), imported) {
			faults = append(faults, fmt.Sprintf("%s: imports %s, but the package is pure", s.path, imported))
		}
	}
	return faults
}

// checkTestOnly finds what a program would be built with although it is for tests.
func checkTestOnly(folder string, s source, module string) (faults []string) {
	for _, imported := range imports(s.file) {
		inside, own := strings.CutPrefix(imported, module+"/")
		allowed := fits("tools/...", folder) && fitsAny(simulated(), inside)
		if own && fitsAny(testOnly(), inside) && !allowed || !own && fits("testing/...", imported) {
			faults = append(faults, fmt.Sprintf("%s: imports %s, which is for tests", s.path, imported))
		}
	}
	return faults
}

func imports(f *ast.File) []string {
	var paths []string
	for _, spec := range f.Imports {
		if p, err := strconv.Unquote(spec.Path.Value); err == nil {
			paths = append(paths, p)
		}
	}
	return paths
}

// checkPure finds goroutines and uses of the clock.
func checkPure(s source) []string {
	clock := "" // the name under which the file imports package time
	for _, spec := range s.file.Imports {
		if spec.Path.Value == `"time"` {
			clock = "time"
			if spec.Name != nil {
				clock = spec.Name.Name
			}
		}
	}
	var faults []string
	if clock == "." {
		faults = append(faults, s.path+": imports package time with a dot, which hides the clock")
	}
	ast.Inspect(s.file, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.GoStmt:
			faults = append(faults, s.path+": starts a goroutine, but the package is pure")
		case *ast.SelectorExpr:
			if on, ok := n.X.(*ast.Ident); ok && clock != "" && on.Name == clock &&
				slices.Contains(clocks(), n.Sel.Name) {
				faults = append(faults, fmt.Sprintf("%s: uses time.%s, but the package is pure: time is an argument",
					s.path, n.Sel.Name))
			}
		}
		return true
	})
	return faults
}

// checkWalls follows imports from each side as far as they go. A package's own
// test files count, those of others do not: they are not linked.
func checkWalls(packages tree, module string) []string {
	var faults []string
	for _, w := range walls() {
		for _, folder := range slices.Sorted(maps.Keys(packages)) {
			if !fits(w.from, folder) {
				continue
			}
			if way := reach(packages, module, folder, w.to); way != nil {
				faults = append(faults, "the wall is broken: "+strings.Join(way, " → "))
			}
		}
	}
	return faults
}

// reach returns the shortest way of imports from a folder into a pattern.
func reach(packages tree, module, from, to string) []string {
	type step struct {
		folder string
		way    []string
	}
	seen := map[string]bool{from: true}
	for queue := []step{{from, []string{from}}}; len(queue) > 0; queue = queue[1:] {
		at := queue[0]
		for _, s := range packages[at.folder] {
			if s.test && at.folder != from {
				continue
			}
			for _, imported := range imports(s.file) {
				next, own := strings.CutPrefix(imported, module+"/")
				if !own || seen[next] {
					continue
				}
				way := append(slices.Clone(at.way), next)
				if fits(to, next) {
					return way
				}
				seen[next] = true
				queue = append(queue, step{next, way})
			}
		}
	}
	return nil
}
