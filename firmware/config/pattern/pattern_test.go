package pattern

import (
	"strings"
	"testing"
)

func TestParse(t *testing.T) {
	for s, want := range map[string]string{
		"/Objects/Plant/**": "Objects|Plant|**", "/2:Press/[ab]?*": "2:Press|[ab]?*", "/a/": "a", "/\\[a": "\\[a",
		"ns=2;s=Press": "", "i=85": "", "ns=2;g=72962b91-fa75-4ae6-8d28-b404dc7daf63": "", "ns=1;b=AQ==": "",
	} {
		if p, err := Parse(s); err != nil || strings.Join(p.Names, "|") != want || (p.Node == nil) == (want == "") {
			t.Errorf("%q: got %v, %v; want names %q", s, p, err, want)
		}
	}
	for s, want := range map[string]string{
		"": "neither", "Objects": "neither", "ns=2": "neither", "ns=x;i=1": "neither", "ns=2;i=abc": "neither",
		"ns=70000;i=1": "neither", "i=99999999999": "neither", "ns=2;g=xx": "neither", "nsu=urn:x;s=1": "neither",
		"svr=1;i=1": "neither", "/a/[b": "backslash", "/" + strings.Repeat("a", MaxBytes): "at most 4096",
	} {
		if p, err := Parse(s); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: got %v, %v; want an error with %q", s, p, err, want)
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{"/Objects/**", "ns=2;s=Press", "i=85", "/a/[", "nsu=a;i=1", "svr=1;nsu=a;b=AQ=="} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if p, err := Parse(s); err == nil && (p.Node == nil) != strings.HasPrefix(s, "/") {
			t.Errorf("%q: got %v", s, p)
		}
	})
}
