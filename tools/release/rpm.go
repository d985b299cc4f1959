package main

import (
	"io"
	"strings"

	"github.com/google/rpmpack"
)

// writeRPM writes a package of Fedora, SUSE and their kin.
func (b *builder) writeRPM(w io.Writer, p product, architecture string, files []entry) error {
	r, err := rpmpack.NewRPM(rpmpack.RPMMetaData{
		Name: p.Name, Summary: "One-way gateway for OPC UA, MQTT and syslog",
		Description: p.Does,
		Version:     b.packageVersion(), Release: "1", Licence: "Apache-2.0", Packager: maintainer, Compressor: "gzip",
		Arch:      map[string]string{"amd64": "x86_64", "arm64": "aarch64"}[architecture],
		BuildHost: "localhost", BuildTime: b.date, Epoch: rpmpack.NoEpoch,
	})
	if err != nil {
		return err
	}
	for _, f := range files {
		one := rpmpack.RPMFile{Name: "/" + f.path, Body: f.content, Mode: uint(f.mode), Owner: "root", Group: "root",
			MTime: uint32(b.date.Unix())}
		if f.folder {
			one.Mode |= 0o40000
		}
		if f.config {
			one.Type = rpmpack.ConfigFile | rpmpack.NoReplaceFile
		}
		if strings.HasPrefix(f.path, "usr/share/doc/") || strings.HasPrefix(f.path, "usr/share/man/") {
			one.Type = rpmpack.DocFile // rpm -qd lists it, and rpm --excludedocs leaves it out
		}
		r.AddFile(one)
	}
	if p.Role != "" {
		if err := r.Requires.Set("systemd"); err != nil {
			return err
		}
		if err := r.Recommends.Set(toolName); err != nil {
			return err
		}
		for name, add := range map[string]func(string){"rpm-post": r.AddPostin, "rpm-preun": r.AddPreun,
			"rpm-postun": r.AddPostun} {
			script, err := p.text(name)
			if err != nil {
				return err
			}
			add(string(script))
		}
	}
	return r.Write(w)
}
