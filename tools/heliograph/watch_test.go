package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"heliograph/tools/watch"
)

func TestWatchOnce(t *testing.T) {
	serve := func(body string) string {
		s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if name, password, given := r.BasicAuth(); given && name+password != "annsecret" {
				w.WriteHeader(http.StatusUnauthorized)
			}
			fmt.Fprint(w, body)
		}))
		t.Cleanup(s.Close)
		return s.Listener.Addr().String()
	}
	well := serve(`{"role":"rx","pair":"well","link":{"medium":"udp"}}`)
	down := serve(`{"role":"rx","pair":"down","link":{"state":"silent for 5 s"}}`)
	file := filepath.Join(t.TempDir(), "password")
	if err := os.WriteFile(file, []byte("secret\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		args []string
		code int
		want string // in either output
	}{
		"all trusted":         {[]string{well}, 0, "● well"},
		"one is not":          {[]string{well, down}, 1, "link: silent for 5 s"},
		"a user":              {[]string{"ann@" + well, "--password-file", file}, 0, "● well"},
		"a user, no password": {[]string{"ann@" + well}, 1, "no password for user ann"},
		"wrong password":      {[]string{"bob@" + well, "--password-file", file}, 1, "or the password is wrong"},
		"no address":          {nil, 2, "the argument is missing"},
		"password in address": {[]string{"ann:secret@" + well}, 2, "leave it out"},
		"no such port":        {[]string{"127.0.0.1:99999"}, 2, "must be 1 to 65535"},
		"an IPv6 address":     {[]string{"::1"}, 2, "[::1]:9464"},
		"not a SHA-256":       {[]string{well, "--trust", "12"}, 2, "64 hexadecimal digits"},
		"no password file":    {[]string{"ann@" + well, "--password-file", "nowhere"}, 1, "file not found"},
		"no certificates":     {[]string{well, "--ca-file", file}, 1, "no certificate in PEM"},
	} {
		t.Setenv(passwordVariable, "")
		var out bytes.Buffer
		code := run(t.Context(), append([]string{"watch", "--once"}, c.args...), strings.NewReader(""), &out, &out)
		if code != c.code || !strings.Contains(out.String(), c.want) || strings.Contains(out.String(), "\x1b") {
			t.Errorf("%s: got code %d and %q, want %d and %q", name, code, out.String(), c.code, c.want)
		}
	}
	t.Setenv(passwordVariable, "secret")
	var out, notes bytes.Buffer
	code := run(t.Context(), []string{"watch", "--once", "--json", "ann@" + well, down}, strings.NewReader(""), &out,
		&notes)
	var rows []watch.Row
	if err := json.Unmarshal(out.Bytes(), &rows); err != nil || code != 1 || len(rows) != 2 ||
		rows[0].Pair != "down" || rows[1].Level != watch.Yes {
		t.Errorf("--json: got code %d, %v, %s%s", code, err, out.String(), notes.String())
	}
}

// TestWatchOnceInterruptedIsNotTrusted: a board that was not asked is not one that can be trusted.
func TestWatchOnceInterruptedIsNotTrusted(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		cancel()
		<-r.Context().Done()
	}))
	defer s.Close()
	for _, format := range [][]string{nil, {"--json"}} {
		var out, notes bytes.Buffer
		args := append([]string{"watch", "--once", s.Listener.Addr().String()}, format...)
		code := run(ctx, args, strings.NewReader(""), &out, &notes)
		if code != 1 || out.Len() > 0 || !strings.Contains(notes.String(), "not all boards were asked") {
			t.Errorf("%q: got code %d, %q and %q; want 1 and that it was interrupted", format, code, out.String(),
				notes.String())
		}
	}
}
