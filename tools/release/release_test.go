package main

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"aead.dev/minisign"
)

const testVersion = "1.2.0-rc1"

// The release of these tests, once it is made.
var (
	once        sync.Once
	onceFolder  string
	oncePublic  minisign.PublicKey
	onceFailure error
)

func TestMain(m *testing.M) {
	code := m.Run()
	if onceFolder != "" {
		_ = os.RemoveAll(onceFolder)
	}
	os.Exit(code)
}

// made makes a release for this machine alone, without images.
func made(t *testing.T, args ...string) string {
	t.Helper()
	dist := filepath.Join(t.TempDir(), "dist")
	if err := release(t, dist, args...); err != nil {
		t.Fatal(err)
	}
	return dist
}

func release(t *testing.T, dist string, args ...string) error {
	o, err := parse(append([]string{"-version", testVersion, "-source", "../..", "-o", dist, "-parts",
		partTool + "," + partPackages + "," + partOCI, "-platforms", "linux/" + runtime.GOARCH}, args...), io.Discard)
	if err != nil {
		return err
	}
	return o.make(t.Context(), io.Discard)
}

// built is such a release, made once and signed.
func built(t *testing.T) string {
	t.Helper()
	once.Do(func() {
		var private minisign.PrivateKey
		var text []byte
		if onceFolder, onceFailure = os.MkdirTemp("", "heliograph-release"); onceFailure != nil {
			return
		}
		if oncePublic, private, onceFailure = minisign.GenerateKey(nil); onceFailure != nil {
			return
		}
		if text, onceFailure = private.MarshalText(); onceFailure != nil {
			return
		}
		key := filepath.Join(onceFolder, "key")
		if onceFailure = os.WriteFile(key, text, 0o600); onceFailure == nil {
			onceFailure = release(t, filepath.Join(onceFolder, "dist"), "-key", key)
		}
	})
	if onceFailure != nil {
		t.Fatal(onceFailure)
	}
	return filepath.Join(onceFolder, "dist")
}

func read(t *testing.T, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestTwoReleasesOfACommitAreEqual(t *testing.T) {
	one, two := read(t, filepath.Join(built(t), sumsFile)), read(t, filepath.Join(made(t), sumsFile))
	if !bytes.Equal(one, two) {
		t.Errorf("got\n%s\nthe second time, want\n%s", two, one)
	}
}

func TestChecksumsAreSignedAndListAllFiles(t *testing.T) {
	dist := built(t)
	sums := read(t, filepath.Join(dist, sumsFile))
	if !minisign.Verify(oncePublic, sums, read(t, filepath.Join(dist, sumsFile+".minisig"))) {
		t.Error("the signature is not good")
	}
	c := exec.Command("sha256sum", "--check", "--strict", sumsFile)
	c.Dir = dist
	if said, err := c.CombinedOutput(); err != nil {
		t.Errorf("sha256sum: %v\n%s", err, said)
	}
	entries, err := os.ReadDir(dist)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, e := range entries {
		if e.Name() != sumsFile && e.Name() != sumsFile+".minisig" {
			got = append(got, e.Name())
			if !strings.Contains(string(sums), "  "+e.Name()+"\n") {
				t.Errorf("%s is not listed", e.Name())
			}
		}
	}
	var want []string
	for _, name := range []string{"heliograph", "heliotx", "heliorx"} {
		for _, end := range []string{"deb", "rpm"} {
			want = append(want, name+"_"+testVersion+"_"+runtime.GOARCH+"."+end)
		}
	}
	want = append(want, "heliograph_"+testVersion+"_linux_"+runtime.GOARCH+".tar.gz",
		"heliograph_"+testVersion+".cdx.json", "heliotx_"+testVersion+"_oci.tar", "heliorx_"+testVersion+"_oci.tar")
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("got  %v\nwant %v", got, want)
	}
}

// The tool is for any PC. Its archive is tried where it can be; that all six build is
// TestTheToolBuildsForEverySystem.
func TestTheToolsArchiveRuns(t *testing.T) {
	dist, folder := built(t), t.TempDir()
	name := "heliograph_" + testVersion + "_linux_" + runtime.GOARCH
	asked(t, "tar", "-C", folder, "-xzf", filepath.Join(dist, name+".tar.gz"))
	said, err := exec.Command(filepath.Join(folder, name, "heliograph"), "version").Output()
	if err != nil || !strings.Contains(string(said), testVersion) {
		t.Errorf("got %q, %v; want the version", said, err)
	}
	licences := string(read(t, filepath.Join(folder, name, licencesFile)))
	for _, want := range []string{"== Go go1.", "github.com/spf13/cobra v", "Apache License", "MIT License",
		"== uPlot 1.6.32"} {
		if !strings.Contains(licences, want) {
			t.Errorf("%s does not have %q", licencesFile, want)
		}
	}
}

// TestAnItemIsNamedBeforeItIsMade: a release takes minutes.
func TestAnItemIsNamedBeforeItIsMade(t *testing.T) {
	var out strings.Builder
	b := &builder{out: &out, options: options{output: t.TempDir()}}
	if err := b.create("item", func(io.Writer) error {
		contains(t, out.String(), "making item …\n")
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	gone, end := context.WithCancel(t.Context())
	end() // so that nothing is compiled
	b.ctx, b.source, b.work, b.built = gone, "../..", t.TempDir(), map[string]string{}
	if _, err := b.program("linux/amd64", toolName); err == nil {
		t.Error("a program was compiled after the end")
	}
	contains(t, out.String(), "compiling heliograph for linux/amd64 …\n")
}

func TestZipKeepsModesAndTimes(t *testing.T) {
	var b bytes.Buffer
	date := time.Date(2026, 1, 2, 3, 4, 6, 0, time.UTC)
	if err := writeZip(&b, []entry{{path: "a", mode: 0o755, folder: true}, {path: "a/b.exe", mode: 0o755,
		content: []byte("program")}}, date); err != nil {
		t.Fatal(err)
	}
	z, err := zip.NewReader(bytes.NewReader(b.Bytes()), int64(b.Len()))
	if err != nil {
		t.Fatal(err)
	}
	if f := z.File[1]; !z.File[0].Mode().IsDir() || f.Name != "a/b.exe" || f.Mode() != 0o755 ||
		!f.Modified.Equal(date) {
		t.Errorf("got %v, %s %v %v", z.File[0].Mode(), f.Name, f.Mode(), f.Modified)
	}
}

// TestTheToolBuildsForEverySystem builds it as the release does.
func TestTheToolBuildsForEverySystem(t *testing.T) {
	b := &builder{ctx: t.Context(), out: io.Discard, work: t.TempDir(), built: map[string]string{},
		options: options{version: testVersion, source: "../.."}}
	for _, platform := range allPlatforms() {
		if _, err := b.program(platform, toolName); err != nil {
			t.Error(err)
		}
	}
}

func TestDescriptionsFitAndAreOfTheirPackage(t *testing.T) {
	for _, p := range products() {
		for line := range strings.Lines(p.Does) {
			if len(line) > 79 { // and the space before it; lintian warns above 80
				t.Errorf("%s: %q has %d columns", p.Name, line, len(line))
			}
		}
		if sends := strings.Contains(p.Does, "sends that to heliorx"); sends != (p.Role == "tx") {
			t.Errorf("%s: got %q", p.Name, p.Does)
		}
	}
}

// TestPackagesAreWhatOthersRead asks dpkg, lintian and rpm.
func TestPackagesAreWhatOthersRead(t *testing.T) {
	dist := built(t)
	for _, name := range []string{"heliotx", "heliorx"} {
		file := filepath.Join(dist, name+"_"+testVersion+"_"+runtime.GOARCH)
		want := []string{"/etc/heliograph/" + name + ".toml.example", "/usr/bin/" + name,
			"/usr/lib/systemd/system/" + name + ".service", "/usr/share/" + name + "/uart.conf",
			"/usr/share/man/man8/" + name + ".8.gz", "/usr/share/man/man5/" + name + ".toml.5.gz"}
		contains(t, asked(t, "dpkg-deb", "--contents", file+".deb"), want...)
		contains(t, asked(t, "dpkg-deb", "--field", file+".deb"), "Version: 1.2.0~rc1", "Package: "+name)
		contains(t, asked(t, "dpkg-deb", "--info", file+".deb", "conffiles"), "/etc/heliograph/"+name+".toml.example\n")
		if said := asked(t, "lintian", "--allow-root", "--fail-on", "none", file+".deb"); said != "" {
			t.Errorf("lintian: %s", said)
		}
		contains(t, asked(t, "rpm", "-qpl", file+".rpm"), want...)
		contains(t, asked(t, "rpm", "-qpd", file+".rpm"), "/README.md\n", "/"+name+".8.gz\n", "/CHANGELOG.md.gz\n")
		contains(t, asked(t, "rpm", "-qp", "--queryformat", "%{NAME} %{VERSION} %{ARCH}", file+".rpm"),
			name+" 1.2.0~rc1 ")
		contains(t, asked(t, "rpm", "-qpc", file+".rpm"), "/etc/heliograph/"+name+".toml.example\n")
		contains(t, asked(t, "rpm", "-K", "--nosignature", file+".rpm"), "digests OK")
	}
}

// TestTheToolBringsItsManualAndCompletion reads both as a package and as an archive.
func TestTheToolBringsItsManualAndCompletion(t *testing.T) {
	dist := built(t)
	name := "heliograph_" + testVersion
	contains(t, asked(t, "dpkg-deb", "--contents", filepath.Join(dist, name+"_"+runtime.GOARCH+".deb")),
		"/usr/share/man/man1/heliograph.1.gz", "/usr/share/man/man1/heliograph-key-new.1.gz",
		"/usr/share/bash-completion/completions/heliograph", "/usr/share/zsh/vendor-completions/_heliograph",
		"/usr/share/fish/vendor_completions.d/heliograph.fish")
	contains(t, asked(t, "rpm", "-qpl", filepath.Join(dist, name+"_"+runtime.GOARCH+".rpm")),
		"/usr/share/man/man1/heliograph-flash.1.gz", "/usr/share/zsh/site-functions/_heliograph")
	contains(t, asked(t, "tar", "-tzf", filepath.Join(dist, name+"_linux_"+runtime.GOARCH+".tar.gz")),
		"/man/man1/heliograph.1\n", "/man/man8/heliotx.8\n", "/completion/heliograph.ps1\n")
	folder := t.TempDir()
	asked(t, "dpkg-deb", "--extract", filepath.Join(dist, name+"_"+runtime.GOARCH+".deb"), folder)
	page := asked(t, "gzip", "-dc", filepath.Join(folder, "usr/share/man/man1/heliograph.1.gz"))
	contains(t, page, testVersion, "heliograph-flash")
	if strings.Contains(page, "heliograph unknown") {
		t.Error("the page names no version")
	}
}

// TestTheTutorialBeginsWithTheRelease runs the tutorial's first block beside the packages.
func TestTheTutorialBeginsWithTheRelease(t *testing.T) {
	_, section, _ := strings.Cut(string(read(t, "tutorial.md")), "\n## 1.")
	block := strings.SplitN(section, "```\n", 3)
	folder := t.TempDir()
	for _, name := range []string{"heliograph", "heliotx", "heliorx"} {
		file := name + "_" + testVersion + "_" + runtime.GOARCH + ".deb"
		if err := os.Symlink(filepath.Join(built(t), file),
			filepath.Join(folder, name+"_"+testVersion+"_amd64.deb")); err != nil {
			t.Fatal(err)
		}
	}
	c := exec.Command("bash", "-ec", block[1])
	c.Dir = folder
	if said, err := c.CombinedOutput(); err != nil || !strings.Contains(string(said), testVersion) {
		t.Errorf("%v, %s; want the version of what it unpacked", err, said)
	}
}

func asked(t *testing.T, name string, args ...string) string {
	t.Helper()
	if _, err := exec.LookPath(name); err != nil {
		t.Skipf("not proved: what others read in a package, because %s is not installed", name)
	}
	said, err := exec.Command(name, args...).CombinedOutput()
	if err != nil {
		t.Fatalf("%s %v: %v\n%s", name, args, err, said)
	}
	return string(said)
}

func contains(t *testing.T, got string, want ...string) {
	t.Helper()
	for _, w := range want {
		if !strings.Contains(got, w) {
			t.Errorf("got\n%s\nwant %q in it", got, w)
		}
	}
}

// TestContainersAreWhole follows all digests of an archive, and looks at what is run.
func TestContainersAreWhole(t *testing.T) {
	for _, name := range []string{"heliotx", "heliorx"} {
		blobs := map[string][]byte{}
		r := tar.NewReader(bytes.NewReader(read(t, filepath.Join(built(t), name+"_"+testVersion+"_oci.tar"))))
		for h, err := r.Next(); err == nil; h, err = r.Next() {
			content, err := io.ReadAll(r)
			if err != nil {
				t.Fatal(err)
			}
			blobs[h.Name] = content
		}
		if string(blobs["oci-layout"]) != layoutFile {
			t.Errorf("got layout %s", blobs["oci-layout"])
		}
		var index, images struct{ Manifests []descriptor }
		var manifest struct {
			Config descriptor
			Layers []descriptor
		}
		var config struct {
			Architecture string
			Config       struct {
				User       string
				Entrypoint []string
			}
		}
		follow := func(d descriptor, to any) []byte {
			b := blobs["blobs/"+strings.ReplaceAll(d.Digest, ":", "/")]
			if got := fmt.Sprintf("sha256:%x", sha256.Sum256(b)); got != d.Digest || len(b) != d.Size {
				t.Fatalf("blob %s: got %s with %d bytes, want %d", d.Digest, got, len(b), d.Size)
			}
			if to != nil {
				if err := json.Unmarshal(b, to); err != nil {
					t.Fatal(err)
				}
			}
			return b
		}
		if err := json.Unmarshal(blobs["index.json"], &index); err != nil {
			t.Fatal(err)
		}
		follow(index.Manifests[0], &images)
		follow(images.Manifests[0], &manifest)
		follow(manifest.Config, &config)
		if config.Architecture != runtime.GOARCH || config.Config.User != "65532:65532" ||
			config.Config.Entrypoint[0] != "/"+name {
			t.Errorf("%s: got %+v", name, config)
		}
		layer := filepath.Join(t.TempDir(), "layer")
		if err := os.WriteFile(layer, follow(manifest.Layers[0], nil), 0o600); err != nil {
			t.Fatal(err)
		}
		contains(t, asked(t, "tar", "-tvzf", layer), " "+name+"\n",
			"drwx------ 65532/65532 ", "var/lib/heliograph/"+name+"/\n")
	}
}

func TestWhatCannotBeReleasedIsRefused(t *testing.T) {
	full := t.TempDir()
	if err := os.WriteFile(filepath.Join(full, "thesis.txt"), []byte("my own"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		args []string
		want string
	}{
		"no version":            {[]string{"-version", ""}, "must begin with a digit"},
		"a version of git":      {[]string{"-version", "v1.0"}, "must begin with a digit"},
		"a path as version":     {[]string{"-version", "1/../.."}, "must begin with a digit"},
		"a board that is not":   {[]string{"-boards", "rpi9"}, "is not one of"},
		"a system that is not":  {[]string{"-platforms", "plan9/amd64"}, "is not one of"},
		"another's folder":      {[]string{"-o", full}, "is not a release"},
		"a key that is not one": {[]string{"-key", filepath.Join(full, "thesis.txt")}, "not a secret key"},
		"release 0":             {[]string{"-release", "0"}, "from 1"},
	} {
		t.Run(name, func(t *testing.T) {
			err := release(t, filepath.Join(t.TempDir(), "dist"), c.args...)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want %q", err, c.want)
			}
		})
	}
}
