package users

import (
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// here is the address of a client.
var here = netip.MustParseAddr("10.1.0.1")

func file(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "users")
	for name, password := range map[string]string{"anna": "correct horse", "bob": "x"} {
		if err := Add(path, name, password); err != nil {
			t.Fatal(err)
		}
	}
	return path
}

func load(t *testing.T, path string) *Users {
	t.Helper()
	u, err := Load(path)
	if err != nil {
		t.Fatal(err)
	}
	return u
}

func TestVerify(t *testing.T) {
	u := load(t, file(t))
	cases := map[string]struct {
		name, password string
		want           bool
	}{
		"right":             {"anna", "correct horse", true},
		"other user":        {"bob", "x", true},
		"wrong":             {"anna", "correct horse ", false},
		"another's":         {"anna", "x", false},
		"unknown":           {"carl", "x", false},
		"unknown and empty": {"", "", false},
		"empty":             {"bob", "", false},
		"too long":          {"bob", strings.Repeat("x", maxPassword+1), false},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			if got := u.Verify(c.name, c.password, here); got != c.want {
				t.Errorf("got %v, want %v", got, c.want)
			}
		})
	}
}

func TestAddReplacesAPassword(t *testing.T) {
	path := file(t)
	if err := Add(path, "anna", "new"); err != nil {
		t.Fatal(err)
	}
	u := load(t, path)
	if u.Len() != 2 || u.Verify("anna", "correct horse", here) || !u.Verify("anna", "new", here) ||
		!u.Verify("bob", "x", here) {
		t.Errorf("got %d users, old password %v; want 2, false", u.Len(), u.Verify("anna", "correct horse", here))
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("got mode %v, %v; want 0600", info.Mode(), err)
	}
	text, _ := os.ReadFile(path)
	if strings.Contains(string(text), "new") {
		t.Error("the file holds the password")
	}
}

func TestAddKeepsCommentsAndMode(t *testing.T) {
	path := filepath.Join(t.TempDir(), "users")
	if err := os.WriteFile(path, []byte("# ours\n\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(path, 0o640); err != nil {
		t.Fatal(err)
	}
	if err := Add(path, "a", "b"); err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o640 {
		t.Errorf("got mode %v, %v; want the 0640 of before, by which a role reads it", info.Mode(), err)
	}
	if text, _ := os.ReadFile(path); !strings.HasPrefix(string(text), "# ours\n\na:$argon2id$") {
		t.Errorf("got %q", text)
	}
}

func TestFaultsHaveALine(t *testing.T) {
	good := "a:" + Hash("x") + "\n"
	cases := map[string]string{
		"plain password": "a:secret",
		"no hash":        "a",
		"bad name":       ":x",
		"twice":          good,
		"costly memory":  "b:" + strings.Replace(Hash("x"), "m=19456", "m=4000000", 1),
		"costly time":    "b:" + strings.Replace(Hash("x"), "t=2", "t=99", 1),
		"no threads":     "b:" + strings.Replace(Hash("x"), "p=1", "p=0", 1),
		"bcrypt":         "b:$2y$05$abcdefghijklmnopqrstuv",
	}
	for name, line := range cases {
		t.Run(name, func(t *testing.T) {
			_, err := Parse(strings.NewReader("# users\n" + good + line))
			if err == nil || !strings.HasPrefix(err.Error(), "3: ") {
				t.Errorf("got %v, want a fault in line 3", err)
			}
		})
	}
}

func TestAddRefuses(t *testing.T) {
	path := file(t)
	for _, c := range [][2]string{{"a:b", "x"}, {"", "x"}, {"#a", "x"}, {"a\nb", "x"}, {"a", ""}} {
		if err := Add(path, c[0], c[1]); err == nil {
			t.Errorf("Add(%q, %q): got nil, want an error", c[0], c[1])
		}
	}
}

// A hash that parses stays within the bounds of cost.
func FuzzParseHash(f *testing.F) {
	f.Add(Hash("x"))
	f.Add("$argon2id$v=19$m=1,t=1,p=1$AAAAAAAAAAA$AAAAAAAAAAA")
	f.Fuzz(func(t *testing.T, s string) {
		h, err := parseHash(s)
		if err != nil {
			return
		}
		if h.memory > maxMemory || h.time > maxTime || h.threads > maxThreads || len(h.salt) > maxBytes ||
			len(h.sum) > maxBytes {
			t.Errorf("accepted a hash out of bounds: %+v", h)
		}
	})
}
