package release

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestKeyIsReadAsAnyEditorSavesIt(t *testing.T) {
	want := public(key(t, 1))
	text, err := want.MarshalText()
	if err != nil {
		t.Fatal(err)
	}
	bare := want.String()
	for name, c := range map[string]struct {
		text string
		ok   bool
	}{
		"as minisign writes it": {string(text), true},
		"of Notepad":            {"\xEF\xBB\xBF" + strings.ReplaceAll(string(text), "\n", "\r\n"), true},
		"one line":              {bare + "\r\n", true},
		"without a line end":    {bare, true},
		"empty":                 {"", false},
		"a comment alone":       {"untrusted comment: " + bare + "\n", false},
		"cut":                   {bare[:40], false},
		"too long":              {strings.Repeat("\n", maxKey) + bare, false},
	} {
		t.Run(name, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "update.pub")
			if err := os.WriteFile(file, []byte(c.text), 0o600); err != nil {
				t.Fatal(err)
			}
			got, err := ReadKey(file)
			if (err == nil) != c.ok || c.ok && !got.Equal(want) {
				t.Errorf("got %v, %v", got, err)
			}
		})
	}
}

func TestKeyThatAnUpdateBroughtComesFirst(t *testing.T) {
	file := filepath.Join(t.TempDir(), "update.pub")
	ofCard, brought := public(key(t, 1)), public(key(t, 2))
	if err := os.WriteFile(file, []byte(ofCard.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	m := tiny().m
	if got, err := CurrentKey(m, file); err != nil || !got.Equal(ofCard) {
		t.Errorf("got %v, %v; want the card's", got, err)
	}
	m.UpdateKey = brought.String()
	if got, err := CurrentKey(m, file); err != nil || !got.Equal(brought) {
		t.Errorf("got %v, %v; want the one that came with the release", got, err)
	}
	m.UpdateKey = "RW"
	if _, err := m.Encode(); err == nil {
		t.Error("a manifest with a key that is none: got no error")
	}
	if _, err := ReadKey(KeyFile); err == nil || !strings.Contains(err.Error(), "accepts no update") {
		t.Errorf("a card without a key: got %v", err)
	}
}
