package main

import (
	"bytes"
	"compress/gzip"
	"embed"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"text/template"
)

// packaging has the texts of packages: templates of a product.
//
//go:embed packaging
var packaging embed.FS

// maintainer stands in packages.
const maintainer = "Heliograph maintainers <heliograph@localhost>"

// product is a program that becomes a package.
type product struct {
	Name, Role string
	What       string // in a few words
	Does       string // in a sentence of lines that dpkg takes: at most 79 columns
	Access     string // to the link's serial port: r or w
}

func products() []product {
	return []product{
		{Name: toolName, What: "engineer's tool for a pair of heliotx and heliorx",
			Does: "The engineer's tool for a pair of heliotx and heliorx: keys, certificates,\n" +
				"checks of configurations, images and cards of boards, updates, and captures\n" +
				"of the link."},
		{Name: "heliotx", Role: "tx", Access: "w",
			What: "transmitter: the plant's side of a one-way gateway for OPC UA, MQTT and syslog",
			Does: "The transmitter, the plant's side: it reads OPC UA servers, MQTT brokers and\n" +
				"syslog, and sends that to heliorx through a link that carries nothing back."},
		{Name: "heliorx", Role: "rx", Access: "r",
			What: "receiver: IT's side of a one-way gateway for OPC UA, MQTT and syslog",
			Does: "The receiver, IT's side: it takes what heliotx sends through a link that\n" +
				"carries nothing back, mirrors the plant's OPC UA servers, publishes to an MQTT\n" +
				"broker and forwards syslog to a collector."},
	}
}

func (p product) text(name string) ([]byte, error) {
	t, err := template.ParseFS(packaging, "packaging/"+name)
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	err = t.Execute(&b, p)
	return b.Bytes(), err
}

// packages makes the packages for hosts.
func (b *builder) packages() error {
	for _, architecture := range b.architectures() {
		for _, p := range products() {
			files, err := b.packageFiles(p, architecture)
			if err != nil {
				return err
			}
			name := p.Name + "_" + b.version + "_" + architecture
			if err := b.create(name+".deb",
				func(w io.Writer) error { return b.writeDeb(w, p, architecture, files) }); err != nil {
				return err
			}
			if err := b.create(name+".rpm",
				func(w io.Writer) error { return b.writeRPM(w, p, architecture, files) }); err != nil {
				return err
			}
		}
	}
	return nil
}

// packageVersion is the version as dpkg and rpm compare it: 1.2.0-rc1 comes before 1.2.0.
func (b *builder) packageVersion() string { return strings.ReplaceAll(b.version, "-", "~") }

// packageFiles are what both kinds of packages install, sorted, each folder of ours first.
func (b *builder) packageFiles(p product, architecture string) ([]entry, error) {
	at, err := b.program("linux/"+architecture, p.Name)
	if err != nil {
		return nil, err
	}
	program, err := os.ReadFile(at)
	if err != nil {
		return nil, err
	}
	licences, err := b.licences(at)
	if err != nil {
		return nil, err
	}
	doc, share := "usr/share/doc/"+p.Name, "usr/share/"+p.Name
	var files []entry
	if p.Role != "" {
		example, reference, err := b.examples(p)
		if err != nil {
			return nil, err
		}
		changes, err := os.ReadFile(filepath.Join(b.source, "CHANGELOG.md")) // the tool has it among its documents
		if err != nil {
			return nil, err
		}
		if changes, err = gzipped(changes); err != nil {
			return nil, err
		}
		files = append(files, entry{path: doc + "/CHANGELOG.md.gz", mode: 0o644, content: changes},
			entry{path: "etc/heliograph", mode: 0o755, folder: true},
			entry{path: "etc/heliograph/" + p.Name + ".toml.example", mode: 0o644, config: true, content: example},
			entry{path: "usr/share/" + p.Name + "/reference.toml", mode: 0o644, content: reference})
	}
	files = append(files, entry{path: "usr/bin/" + p.Name, mode: 0o755, content: program},
		entry{path: doc, mode: 0o755, folder: true},
		entry{path: share, mode: 0o755, folder: true},
		entry{path: share + "/" + licencesFile, mode: 0o644, content: licences})
	words, err := b.installedWords(p)
	if err != nil {
		return nil, err
	}
	files = append(files, words...)
	for path, name := range p.texts() {
		text, err := p.text(name)
		if err != nil {
			return nil, err
		}
		files = append(files, entry{path: path, mode: 0o644, content: text})
	}
	return sorted(files), nil
}

// texts are the templates of a product, by where they are installed.
func (p product) texts() map[string]string {
	doc := "usr/share/doc/" + p.Name
	texts := map[string]string{doc + "/copyright": "copyright", "usr/share/lintian/overrides/" + p.Name: "lintian"}
	if p.Role == "" {
		return texts
	}
	texts[doc+"/README.md"] = "README.md"
	texts["usr/lib/systemd/system/"+p.Name+".service"] = "service"
	texts["usr/lib/sysusers.d/"+p.Name+".conf"] = "sysusers"
	for _, name := range []string{"ethernet.conf", "uart.conf", "low-ports.conf"} {
		texts["usr/share/"+p.Name+"/"+name] = name
	}
	return texts
}

// examples returns the configuration to begin with, without [state], which a host has
// elsewhere, and the one with every key.
func (b *builder) examples(p product) (example, reference []byte, err error) {
	folder := filepath.Join(b.source, "firmware/config")
	if example, err = os.ReadFile(filepath.Join(folder, "minimal-"+p.Role+".toml")); err != nil {
		return nil, nil, err
	}
	before, rest, ok := bytes.Cut(example, []byte("[state]\n"))
	_, after, more := bytes.Cut(rest, []byte("\n\n"))
	if !ok || !more {
		return nil, nil, fmt.Errorf("minimal-%s.toml has no [state] to leave out", p.Role)
	}
	reference, err = os.ReadFile(filepath.Join(folder, "reference-"+p.Role+".toml"))
	return append(bytes.Clone(before), after...), reference, err
}

func gzipped(b []byte) ([]byte, error) {
	var out bytes.Buffer
	z, err := gzip.NewWriterLevel(&out, gzip.BestCompression)
	if err != nil {
		return nil, err
	}
	if _, err := z.Write(b); err != nil {
		return nil, err
	}
	err = z.Close()
	return out.Bytes(), err
}
