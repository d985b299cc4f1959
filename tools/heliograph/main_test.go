package main

import (
	"bytes"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"heliograph/firmware/config"
	"heliograph/firmware/config/pairkey"
	"heliograph/firmware/config/users"
)

func call(t *testing.T, stdin string, args ...string) (int, string, string) {
	t.Helper()
	var stdout, stderr bytes.Buffer
	code := run(t.Context(), args, strings.NewReader(stdin), &stdout, &stderr)
	return code, stdout.String(), stderr.String()
}

func TestUsage(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	taken := l.Addr().String()
	cases := map[string]struct {
		args []string
		code int
		want string
	}{
		"unknown command":     {[]string{"fly"}, 2, "unknown command \"fly\""},
		"mistyped command":    {[]string{"flsh"}, 2, "unknown command \"flsh\"; did you mean flash?\n"},
		"mistyped in a group": {[]string{"update", "instal"}, 2, "did you mean install?"},
		"alone":               {nil, 0, "Available Commands"},
		"version of nothing":  {[]string{"version", "--image", ""}, 2, "--image is empty"},
		"version of a text":   {[]string{"version", "--image", "main.go"}, 1, "main.go is not an image or card"},
		"unknown flag":        {[]string{"version", "--loud"}, 2, "unknown flag"},
		"group alone":         {[]string{"key"}, 2, "needs a command"},
		"unknown in a group":  {[]string{"key", "old"}, 2, "unknown command \"old\""},
		"argument left out": {[]string{"key", "new"}, 2, "heliograph: the argument is missing: write heliograph " +
			"key new FILE [flags]\n" +
			"Try \"heliograph key new --help\".\n"},
		"one of two arguments":  {[]string{"crawl", "x"}, 2, "an argument is missing: write heliograph crawl"},
		"neither of two":        {[]string{"crawl"}, 2, "the arguments are missing: write"},
		"no board to watch":     {[]string{"watch"}, 2, "heliograph: the argument is missing"},
		"three of two files":    {[]string{"check", "a", "b", "c"}, 2, "there are too many arguments"},
		"surplus argument":      {[]string{"version", "x"}, 2, "\"x\": no argument is expected here: write"},
		"port without a host":   {[]string{"syslog", "5601"}, 2, "write an address and a port, such as 127.0.0.1:5601"},
		"address that is none":  {[]string{"plant", "foo"}, 2, "write an address and a port, such as 127.0.0.1:4841"},
		"port that is none":     {[]string{"plant", "127.0.0.1:x"}, 2, "\"127.0.0.1:x\": write an address and a port"},
		"servers that are none": {[]string{"crawl", "x", "y"}, 2, "\"x\": write opc.tcp://HOST:PORT"},
		"a mirror that is none": {[]string{"crawl", "opc.tcp://a:1", "http://b"}, 2, "\"http://b\": write opc.tcp"},
		"file without its flag": {[]string{"doctor", "rx.toml"}, 2, ": write heliograph doctor --config FILE"},
		"flags left out":        {[]string{"cert", "show"}, 2, "--pki or --config must be given: write"},
		"not a number":          {[]string{"accept", "--minutes", "abc"}, 2, "--minutes: \"abc\" is not a number\n"},
		"not a duration": {[]string{"demo", "--duration", "x"}, 2,
			"--duration: \"x\" is not a duration such as \"30s\" or \"5m\""},
		"role that is none":  {[]string{"check", "--role", "mx", "f"}, 2, "must be tx or rx"},
		"version":            {[]string{"version"}, 0, "heliograph unknown\n"},
		"version as a flag":  {[]string{"--version"}, 0, "heliograph unknown\n"},
		"help":               {[]string{"--help"}, 0, "Available Commands"},
		"check of a missing": {[]string{"check", "/none.toml"}, 78, "heliograph: file not found: /none.toml; correct"},
		"no time for a change": {[]string{"key", "change", "--config", "f", "--for", "-1h", "k"}, 2,
			"--for: must be longer"},
		"demo without messages":           {[]string{"demo", "--rate", "0"}, 2, "--rate: must be from 1 to 2000"},
		"demo that is cut and not joined": {[]string{"demo", "--cut-after", "1s"}, 2, "--cut-after: takes --cut-for"},
		"demo that ends while it is cut": {[]string{"demo", "--cut-after", "3s", "--cut-for", "3s", "--duration", "5s"},
			2, "--cut-for: the link would still be cut"},
		"demo that has ended":   {[]string{"demo", "--duration", "-1s"}, 2, "--duration: must not be negative"},
		"man pages into a file": {[]string{"man", "main.go"}, 1, "main.go is not a folder: name one, or a new one"},
		"run-time failure is 1": {[]string{"key", "new", "/none/pair.key"}, 1,
			"heliograph: folder not found: /none; correct"},
		"plant at a port in use":    {[]string{"plant", taken}, 1, "another program has that port: write another one"},
		"syslog at a port in use":   {[]string{"syslog", taken}, 1, "another program has that port: write another one"},
		"syslog of another machine": {[]string{"syslog", "192.0.2.1:5601"}, 1, "is not an address of this machine"},
		"no card":                   {[]string{"update", "show", "/none.img"}, 1, "file not found: /none.img; correct"},
		"user in no folder": {[]string{"user", "add", "/none/users", "ann"}, 1,
			"folder not found: /none; correct"},
		"user name with a colon": {[]string{"user", "add", "users", "a:b"}, 2, "invalid user name"},
		"bench of nothing": {[]string{"bench", "--only", "nope"}, 2,
			"--only \"nope\" must be one of goodput, "},
		"baseline not there":   {[]string{"bench", "--baseline", "/none.json"}, 1, "--baseline: file not found: "},
		"dissector of a text":  {[]string{"decode", "--dissector", "x.txt"}, 2, "must end in .lua"},
		"capture that is none": {[]string{"decode", "/"}, 1, "/ is a folder and not a regular file: name a file"},
		"policy that is none": {[]string{"crawl", "--policy", "Bogus", "opc.tcp://a:1", "opc.tcp://b:1"}, 2,
			"--policy must be one of None, "},
		"policy of a mirror that is none": {[]string{"crawl", "--mirror-policy", "x", "opc.tcp://a:1", "opc.tcp://b:1"},
			2, "--mirror-policy must be one of None, "},
		"policy without a folder": {[]string{"crawl", "--policy", "Basic256Sha256", "opc.tcp://a:1", "opc.tcp://b:1"},
			2, "--pki FOLDER is needed"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			code, stdout, stderr := call(t, "secret\n", c.args...)
			if code == 1 && strings.Contains(stderr, "checked as") {
				t.Errorf("got %q of a file that is not there", stderr)
			}
			if code != c.code || !strings.Contains(stdout+stderr, c.want) {
				t.Errorf("got %d, %q; want %d, %q", code, stdout+stderr, c.code, c.want)
			}
		})
	}
}

func TestKeyNewRefusesToOverwrite(t *testing.T) {
	path := filepath.Join(t.TempDir(), "pair.key")
	if code, _, stderr := call(t, "", "key", "new", path); code != 0 {
		t.Fatalf("got %d, %s", code, stderr)
	}
	before, err := pairkey.Read(path)
	if err != nil {
		t.Fatal(err)
	}
	code, _, stderr := call(t, "", "key", "new", path)
	if code != 1 || !strings.Contains(stderr, "exists already") {
		t.Errorf("got %d, %q; want 1, exists already", code, stderr)
	}
	if after, err := pairkey.Read(path); err != nil || after != before {
		t.Errorf("the key changed: %v", err)
	}
}

func TestUserAddReadsStandardInput(t *testing.T) {
	path := filepath.Join(t.TempDir(), "users")
	if code, _, stderr := call(t, "pass word\nmore\n", "user", "add", path, "anna"); code != 0 {
		t.Fatalf("got %d, %s", code, stderr)
	}
	u, err := users.Load(path)
	if err != nil || !u.Verify("anna", "pass word", netip.Addr{}) {
		t.Errorf("the password does not verify: %v", err)
	}
	if code, _, _ := call(t, "", "user", "add", path, "bob"); code != 1 {
		t.Errorf("empty password: got %d, want 1", code)
	}
}

func TestCheckFindsOutTheRole(t *testing.T) {
	dir := t.TempDir()
	if err := pairkey.Create(filepath.Join(dir, "pair.key"), pairkey.New()); err != nil {
		t.Fatal(err)
	}
	cases := map[string]struct {
		text string
		args []string
		code int
		want string
	}{
		"tx": {text: config.MinimalTX(), code: 0, want: "heliotx"},
		"rx": {text: config.MinimalRX(), code: 0, want: "heliorx"},
		"given": {text: config.MinimalTX(), args: []string{"--role", "rx"}, code: 2,
			want: "given.toml: this is heliotx's file; name heliorx's\nTry"},
		"broken":    {text: "[", code: 78, want: ":1: not valid TOML"},
		"top of RX": {text: "stale_after = \"3s\"\n", code: 78, want: "heliorx"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(dir, strings.ReplaceAll(name, " ", "-")+".toml")
			if err := os.WriteFile(path, []byte(c.text), 0o600); err != nil {
				t.Fatal(err)
			}
			code, stdout, stderr := call(t, "", append([]string{"check", path}, c.args...)...)
			if code != c.code || !strings.Contains(stdout+stderr, c.want) {
				t.Errorf("got %d, %q; want %d, %q", code, stdout+stderr, c.code, c.want)
			}
		})
	}
}

func TestCheckComparesFilesWithBoardAndPair(t *testing.T) {
	dir := t.TempDir()
	if err := pairkey.Create(filepath.Join(dir, "pair.key"), pairkey.New()); err != nil {
		t.Fatal(err)
	}
	at := func(name string) string { return filepath.Join(dir, name) }
	onConsole := strings.Replace(config.MinimalTX(), "medium   = \"udp\"",
		"medium = \"uart\"\ndevice = \"/dev/ttyAMA3\"", 1)
	for name, text := range map[string]string{
		"tx.toml": config.MinimalTX(), "rx.toml": config.MinimalRX(),
		"mill.toml":    strings.Replace(config.MinimalRX(), "press-hall", "mill", 1),
		"console.toml": strings.Replace(onConsole, "address  =", "# address =", 1),
		"keyless.toml": strings.Replace(strings.Replace(config.MinimalTX(), "127.0.0.1:17000", "10.0.2.2:17000", 1),
			"pair.key", "later.key", 1),
		"network.toml": "interface = \"enp3s0\"\naddress = \"10.0.0.2/24\"\n",
	} {
		if err := os.WriteFile(at(name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	cases := map[string]struct {
		args []string
		code int
		want string
	}{
		"a pair":            {[]string{at("tx.toml"), at("rx.toml")}, 0, "rx.toml: no faults"},
		"a pair, RX first":  {[]string{at("rx.toml"), at("tx.toml")}, 0, "tx.toml of heliotx"},
		"names that differ": {[]string{at("tx.toml"), at("mill.toml")}, 78, "mill.toml:1: pair is \"mill\""},
		"two of one role": {[]string{at("tx.toml"), at("tx.toml")}, 2,
			"this is heliotx's file; name heliorx's"},
		"the console as the link": {[]string{"--board", "rpi4b", at("console.toml")}, 78, "console.toml:5: device"},
		"a network of a PC": {[]string{"--board", "rpi4b", "--network", at("network.toml"), at("rx.toml")}, 78,
			"network.toml:1: interface \"enp3s0\""},
		"a board that is none": {[]string{"--board", "rpi9", at("tx.toml")}, 2, "rpi4b, "},
		"a key to be made": {[]string{"--board", "virt", at("keyless.toml")}, 0,
			"\"heliograph flash --pair\" makes it"},
		"a key of no card":      {[]string{at("keyless.toml")}, 78, "key_file: file not found"},
		"a key of a PC":         {[]string{"--board", "pc", at("keyless.toml")}, 78, "key_file: file not found"},
		"a pair, one not there": {[]string{at("tx.toml"), at("none.toml")}, 78, "heliograph: file not found: "},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			code, stdout, stderr := call(t, "", append([]string{"check"}, c.args...)...)
			if code != c.code || !strings.Contains(stdout+stderr, c.want) {
				t.Errorf("got %d, %q; want %d, %q", code, stdout+stderr, c.code, c.want)
			}
		})
	}
}

// Every command that reads a configuration.
func TestConfigurationsThatNoCommandTakes(t *testing.T) {
	dir := t.TempDir()
	if err := pairkey.Create(filepath.Join(dir, "pair.key"), pairkey.New()); err != nil {
		t.Fatal(err)
	}
	at := func(name string) string { return filepath.Join(dir, name) }
	for name, text := range map[string]string{
		"tx.toml": config.MinimalTX(), "rx.toml": config.MinimalRX(), "bad.toml": "x = 1\n" + config.MinimalTX(),
	} {
		if err := os.WriteFile(at(name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	image := func(role, file string) []string {
		return []string{"image", "--role", role, "--board", "rpi4b", "--config", at(file), "-o", at("x.img")}
	}
	accept := []string{"accept", "-o", at("a.html"), "--config"}
	commands := [][]string{{"key", "show", "--config"}, {"key", "change", at("pair.key"), "--config"},
		{"epoch", "show", "--config"}, {"cert", "show", "--config"}, {"cert", "new", "--config"},
		{"cert", "export", at("c.der"), "--config"}, {"cert", "csr", at("c.csr"), "--config"},
		{"trust", "list", "--config"}, {"trust", "add", "12345678", "--config"},
		{"trust", "remove", "12345678", "--config"}, {"doctor", "--config"}, {"check"}}
	type invocation struct {
		args []string
		code int
		want string
	}
	calls := []invocation{{image("rx", "tx.toml"), 2, "tx.toml: this is heliotx's file; name heliorx's\nTry"},
		{image("tx", "none.toml"), 78, "file not found: "},
		{[]string{"doctor", "--config", at("tx.toml"), "--other", at("none.toml")}, 78, "--other: file not found: "}}
	for _, c := range append(commands, accept, []string{"epoch", "accept", "--config"}) {
		calls = append(calls, invocation{append(slices.Clone(c), at("none.toml")), 78, "file not found: "})
	}
	for _, c := range commands {
		calls = append(calls, invocation{append(slices.Clone(c), at("bad.toml")), 78, "bad.toml:1: "})
	}
	for _, c := range [][]string{accept, {"epoch", "accept", "--config"}} {
		calls = append(calls, invocation{append(slices.Clone(c), at("tx.toml")), 2,
			"tx.toml: this is heliotx's file; name heliorx's"})
	}
	for _, c := range calls {
		t.Run(strings.ReplaceAll(strings.Join(c.args, " "), dir+"/", ""), func(t *testing.T) {
			code, stdout, stderr := call(t, "", c.args...)
			if code != c.code || !strings.Contains(stdout+stderr, c.want) ||
				strings.Contains(stdout+stderr, "missing") {
				t.Errorf("got %d, %q; want %d, %q", code, stdout+stderr, c.code, c.want)
			}
		})
	}
}

func TestReferencesAreRecognised(t *testing.T) {
	for want, text := range map[string]string{"tx": config.ReferenceTX(), "rx": config.ReferenceRX()} {
		path := filepath.Join(t.TempDir(), "f.toml")
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if got := guessSide(path); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
}
