package image

import (
	"bytes"
	"debug/buildinfo"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"time"
)

// bill is a CycloneDX 1.6 bill of materials, the part that we write.
type bill struct {
	Format     string      `json:"bomFormat"`
	Spec       string      `json:"specVersion"`
	Version    int         `json:"version"`
	Metadata   metadata    `json:"metadata"`
	Components []component `json:"components"`
}

type metadata struct {
	Component component `json:"component"`
}

type component struct {
	Type       string     `json:"type"`
	Name       string     `json:"name"`
	Version    string     `json:"version"`
	URL        string     `json:"purl,omitempty"`
	Properties []property `json:"properties,omitempty"`
}

type property struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

// Properties of the kernel and the firmware: when the module was made, and which version
// of Linux it has.
const (
	dateProperty  = "heliograph:date"
	linuxProperty = "heliograph:linux"
)

// billOfMaterials lists what is on a card.
func billOfMaterials(o Options, built ...[]byte) ([]byte, error) {
	return BillOfMaterials(o, "firmware", "helio"+o.Role, built...)
}

// BillOfMaterials lists what the programs of a product were built from, as they say
// themselves, with the kernel and the firmware that the checkout in Source has. Kind is a
// type of CycloneDX.
func BillOfMaterials(o Options, kind, name string, built ...[]byte) ([]byte, error) {
	b := bill{Format: "CycloneDX", Spec: "1.6", Version: 1,
		Metadata: metadata{component{Type: kind, Name: name, Version: o.Version}}}
	known := map[string]bool{}
	addFrom := func(registry, kind, path, version string, p ...property) {
		if !known[path] {
			known[path] = true
			url := "pkg:" + registry + "/" + path + "@" + version
			b.Components = append(b.Components, component{kind, path, version, url, p})
		}
	}
	add := func(kind, path, version string, p ...property) { addFrom("golang", kind, path, version, p...) }
	for _, program := range built {
		info, err := buildinfo.Read(bytes.NewReader(program))
		if err != nil {
			return nil, fmt.Errorf("image: %v", err)
		}
		add("library", "stdlib", info.GoVersion)
		for _, d := range info.Deps {
			if d.Replace != nil {
				d = d.Replace
			}
			add("library", d.Path, d.Version)
		}
		if version := PlotVersion(program); version != "" {
			addFrom("npm", "library", "uplot", version)
		}
	}
	for _, m := range []struct{ kind, path string }{{"operating-system", kernelModule}, {"firmware", firmwareModule}} {
		got, err := download(o, m.path)
		if err != nil {
			return nil, err
		}
		p := []property{{dateProperty, ModuleDate(got.Version).Format(time.DateOnly)}}
		if m.path == kernelModule {
			kernel, err := os.ReadFile(filepath.Join(got.Dir, "vmlinuz"))
			if err != nil {
				return nil, fmt.Errorf("image: %v", err)
			}
			p = append(p, property{linuxProperty, linuxVersion(kernel)})
		}
		add(m.kind, got.Path, got.Version, p...)
	}
	return json.MarshalIndent(b, "", " ")
}

// plotBanner stands at the beginning of uPlot, which the status page draws with.
var plotBanner = regexp.MustCompile(`/\*! https://github\.com/leeoniya/uPlot \(v([0-9.]+)\) \*/`)

// PlotVersion returns the version of uPlot in a program, "" where it has none.
func PlotVersion(program []byte) string {
	if m := plotBanner.FindSubmatch(program); m != nil {
		return string(m[1])
	}
	return ""
}

// ModuleDate returns when a module's commit was made, from its pseudo-version; the zero
// time for any other version.
func ModuleDate(version string) time.Time {
	parts := strings.Split(version, "-")
	if len(parts) < 3 {
		return time.Time{}
	}
	stamp := parts[len(parts)-2]
	if i := strings.LastIndexByte(stamp, '.'); i >= 0 {
		stamp = stamp[i+1:]
	}
	t, err := time.Parse("20060102150405", stamp)
	if err != nil {
		return time.Time{}
	}
	return t
}

// linuxVersion finds the version in a kernel, "" where it has none in plain text.
func linuxVersion(kernel []byte) string {
	const banner = "Linux version "
	for {
		i := bytes.Index(kernel, []byte(banner))
		if i < 0 {
			return ""
		}
		kernel = kernel[i+len(banner):]
		end := bytes.IndexAny(kernel[:min(len(kernel), 80)], " \x00")
		if end > 0 && kernel[0] >= '0' && kernel[0] <= '9' {
			return string(kernel[:end])
		}
	}
}
