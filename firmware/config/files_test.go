package config

import "testing"

// TestSecretStaysReadableToItsRole: in a package the role reads root's files by its group.
func TestSecretStaysReadableToItsRole(t *testing.T) {
	for name, c := range map[string]struct {
		roots, packaged bool
		want            string
	}{
		"a user's file":                 {false, false, "chmod 600 /k"},
		"a user's file beside packages": {false, true, "chmod 600 /k"},
		"root runs the role":            {true, false, "chmod 600 /k"},
		"a package":                     {true, true, "chown root:heliotx /k && chmod 640 /k"},
	} {
		t.Run(name, func(t *testing.T) {
			exists := func(group string) bool { return c.packaged && group == "heliotx" }
			if got := secretCommand("/k", readerGroup("tx", c.roots, exists)); got != c.want {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}
