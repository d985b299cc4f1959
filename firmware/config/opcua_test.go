package config

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestAMirrorThatNoUserCanEnterIsWarnedOf(t *testing.T) {
	const missing, empty = "configuration:10: warning: no user can log in: add users_file",
		"configuration:11: warning: no user can log in: run heliograph user add "
	for name, c := range map[string]struct{ keys, users, trusted, want string }{
		"no file":               {want: missing},
		"a file without a user": {keys: "users_file = \"users\"\n", users: "# none yet\n", want: empty},
		"a user": {keys: "users_file = \"users\"\n",
			users: "ann:$argon2id$v=19$m=19456,t=2,p=1$AAAAAAAAAAAAAAAAAAAAAA$" + strings.Repeat("A", 43) + "\n"},
		"anonymous":             {keys: "anonymous = true\n"},
		"a trusted certificate": {trusted: "ann.der"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := folder(t)
			certificates := filepath.Join(dir, "state/pki/trusted_users/certs")
			if err := os.MkdirAll(certificates, 0o700); err != nil {
				t.Fatal(err)
			}
			for file, text := range map[string]string{filepath.Join(dir, "users"): c.users,
				filepath.Join(certificates, c.trusted): "x"} {
				if strings.HasSuffix(file, "certs") {
					continue
				}
				if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			_, warnings, err := ParseRX(strings.NewReader(head+"[state]\ndirectory = \"state\"\n[[opcua]]\n"+
				"channel = \"o\"\nlisten = \"opc.tcp://:4840\"\n"+c.keys), dir)
			got := ""
			for _, w := range warnings {
				got += w.String()
			}
			if err != nil || !strings.HasPrefix(got, c.want) || c.want == "" && got != "" {
				t.Errorf("got %v, %q; want %q", err, got, c.want)
			}
		})
	}
}
