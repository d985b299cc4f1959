package archtest

import (
	"fmt"
	"go/ast"
	"go/token"
	"slices"
	"strconv"
)

// logOrder are the attributes of a line of the log that have a fixed place: before all others, in
// this order.
func logOrder() []string { return []string{"component", "channel", "state", "error", "retry"} }

// checkLogs finds lines of the log of another shape than that: a message that is not constant,
// attributes in another order, a cause that is not called error.
func checkLogs(s source) (faults []string) {
	ast.Inspect(s.file, func(n ast.Node) bool {
		call, ok := n.(*ast.CallExpr)
		if !ok {
			return true
		}
		args := logged(call)
		if len(args) == 0 {
			return true
		}
		fault := func(format string, a ...any) {
			faults = append(faults, fmt.Sprintf("%s:%d: ", s.path, s.line(call.Pos()))+fmt.Sprintf(format, a...))
		}
		switch args[0].(type) {
		case *ast.BinaryExpr, *ast.CallExpr:
			fault("the message of a log is not constant; what varies is an attribute")
		}
		last := ""
		for i := 1; i < len(args); i += 2 {
			literal, ok := args[i].(*ast.BasicLit)
			if !ok || literal.Kind != token.STRING {
				break
			}
			key, _ := strconv.Unquote(literal.Value) // it was parsed
			switch {
			case key == "reason" || key == "err" || key == "cause":
				fault("attribute %q of a log: say error", key)
			case i > 1 && place(key) < place(last):
				fault("attribute %q of a log stands after %q", key, last)
			}
			last = key
		}
		return true
	})
	return faults
}

// place is where an attribute stands among the others.
func place(key string) int {
	if i := slices.Index(logOrder(), key); i >= 0 {
		return i
	}
	return len(logOrder())
}

// logged returns the message and the attributes of a call of slog, nil for another call.
func logged(call *ast.CallExpr) []ast.Expr {
	f, ok := call.Fun.(*ast.SelectorExpr)
	if !ok {
		return nil
	}
	switch f.Sel.Name {
	case "Debug", "Info", "Warn", "Error":
		return call.Args
	case "Log":
		return call.Args[min(2, len(call.Args)):]
	}
	return nil
}
