package main

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"slices"
	"time"
)

// From the OCI image specification 1.1 (descriptor.md, image-layout.md, config.md).
const (
	typeIndex    = "application/vnd.oci.image.index.v1+json"
	typeManifest = "application/vnd.oci.image.manifest.v1+json"
	typeConfig   = "application/vnd.oci.image.config.v1+json"
	typeLayer    = "application/vnd.oci.image.layer.v1.tar+gzip"
	refName      = "org.opencontainers.image.ref.name"
	layoutFile   = `{"imageLayoutVersion":"1.0.0"}`
)

// containerUser is who the role is in a container: the number that images without a
// distribution use.
const containerUser = 65532

type descriptor struct {
	MediaType   string            `json:"mediaType"`
	Digest      string            `json:"digest"`
	Size        int               `json:"size"`
	Platform    map[string]string `json:"platform,omitempty"`
	Annotations map[string]string `json:"annotations,omitempty"`
}

// layout is an OCI image layout that becomes an archive.
type layout struct{ blobs map[string][]byte }

func (l *layout) add(mediaType string, content []byte) descriptor {
	sum := fmt.Sprintf("%x", sha256.Sum256(content))
	l.blobs[sum] = content
	return descriptor{MediaType: mediaType, Digest: "sha256:" + sum, Size: len(content)}
}

func (l *layout) addJSON(mediaType string, v any) (descriptor, error) {
	text, err := json.Marshal(v)
	return l.add(mediaType, text), err
}

// containers makes an archive of each role.
func (b *builder) containers() error {
	for _, role := range roles() {
		name := "helio" + role
		l := &layout{blobs: map[string][]byte{}}
		var list []descriptor
		for _, architecture := range b.architectures() {
			d, err := b.container(l, name, architecture)
			if err != nil {
				return err
			}
			list = append(list, d)
		}
		if err := b.create(name+"_"+b.version+"_oci.tar",
			func(w io.Writer) error { return l.write(w, name+":"+b.version, list, b.date) }); err != nil {
			return err
		}
	}
	return nil
}

// container adds the image of one architecture: the program, its licences, and the two
// folders that it needs.
func (b *builder) container(l *layout, name, architecture string) (descriptor, error) {
	at, err := b.program("linux/"+architecture, name)
	if err != nil {
		return descriptor{}, err
	}
	program, err := os.ReadFile(at)
	if err != nil {
		return descriptor{}, err
	}
	licences, err := b.licences(at)
	if err != nil {
		return descriptor{}, err
	}
	state := "var/lib/heliograph/" + name
	var tree, layer bytes.Buffer
	if err := writeTar(&tree, []entry{
		{path: "etc", mode: 0o755, folder: true}, {path: "etc/heliograph", mode: 0o755, folder: true},
		{path: licencesFile, mode: 0o644, content: licences}, {path: name, mode: 0o755, content: program},
		{path: "tmp", mode: 0o1777, folder: true}, {path: "var", mode: 0o755, folder: true},
		{path: "var/lib", mode: 0o755, folder: true}, {path: "var/lib/heliograph", mode: 0o755, folder: true},
		{path: state, mode: 0o700, folder: true, owner: containerUser},
	}, b.date); err != nil {
		return descriptor{}, err
	}
	z := gzip.NewWriter(&layer)
	if _, err := z.Write(tree.Bytes()); err != nil {
		return descriptor{}, err
	}
	if err := z.Close(); err != nil {
		return descriptor{}, err
	}
	config, err := l.addJSON(typeConfig, b.containerConfig(name, architecture, "/"+state, sha256.Sum256(tree.Bytes())))
	if err != nil {
		return descriptor{}, err
	}
	d, err := l.addJSON(typeManifest, map[string]any{"schemaVersion": 2, "mediaType": typeManifest,
		"config": config, "layers": []descriptor{l.add(typeLayer, layer.Bytes())}})
	d.Platform = map[string]string{"os": "linux", "architecture": architecture}
	return d, err
}

func (b *builder) containerConfig(name, architecture, state string, tree [sha256.Size]byte) any {
	date := b.date.Format(time.RFC3339)
	return map[string]any{
		"created": date, "architecture": architecture, "os": "linux",
		"config": map[string]any{
			"User":       fmt.Sprintf("%d:%d", containerUser, containerUser),
			"Entrypoint": []string{"/" + name, "--config", "/etc/heliograph/" + name + ".toml"},
			"WorkingDir": "/", "StopSignal": "SIGTERM",
			"Volumes": map[string]any{state: struct{}{}},
			"Labels": map[string]string{"org.opencontainers.image.title": name,
				"org.opencontainers.image.version":  b.version,
				"org.opencontainers.image.licenses": "Apache-2.0",
				"org.opencontainers.image.created":  date},
		},
		"rootfs":  map[string]any{"type": "layers", "diff_ids": []string{fmt.Sprintf("sha256:%x", tree)}},
		"history": []map[string]string{{"created": date, "created_by": "heliograph tools/release"}},
	}
}

// write writes the archive. Its index has one image, which is an index of those of the
// architectures.
func (l *layout) write(w io.Writer, name string, images []descriptor, date time.Time) error {
	all, err := l.addJSON(typeIndex, map[string]any{"schemaVersion": 2, "mediaType": typeIndex, "manifests": images})
	if err != nil {
		return err
	}
	all.Annotations = map[string]string{refName: name}
	index, err := json.Marshal(map[string]any{"schemaVersion": 2, "mediaType": typeIndex,
		"manifests": []descriptor{all}})
	if err != nil {
		return err
	}
	files := []entry{{path: "oci-layout", mode: 0o644, content: []byte(layoutFile)},
		{path: "index.json", mode: 0o644, content: index}, {path: "blobs", mode: 0o755, folder: true},
		{path: "blobs/sha256", mode: 0o755, folder: true}}
	var sums []string
	for sum := range l.blobs {
		sums = append(sums, sum)
	}
	slices.Sort(sums)
	for _, sum := range sums {
		files = append(files, entry{path: "blobs/sha256/" + sum, mode: 0o644, content: l.blobs[sum]})
	}
	return writeTar(w, files, date)
}
