package main

import (
	"bytes"
	"crypto/md5" // of the list of digests in a package, which is not for security
	"fmt"
	"io"
	"path"
	"slices"
	"strings"
)

// writeDeb writes a package of Debian (deb(5)):
//
//	!<arch> LF                                          archive of ar(5)
//	  debian-binary     "2.0" LF
//	  control.tar.gz    control, md5sums, conffiles, postinst, prerm, postrm
//	  data.tar.gz       the files
func (b *builder) writeDeb(w io.Writer, p product, architecture string, files []entry) error {
	control, err := b.control(p, architecture, files)
	if err != nil {
		return err
	}
	var parts [2]bytes.Buffer
	for i, list := range [][]entry{control, withFolders(files)} {
		for j := range list {
			list[j].path = "./" + list[j].path
		}
		if err := writeTarGzip(&parts[i], list, b.date); err != nil {
			return err
		}
	}
	if _, err := io.WriteString(w, "!<arch>\n"); err != nil {
		return err
	}
	for _, m := range []struct {
		name    string
		content []byte
	}{{"debian-binary", []byte("2.0\n")}, {"control.tar.gz", parts[0].Bytes()}, {"data.tar.gz", parts[1].Bytes()}} {
		padding := ""
		if len(m.content)%2 == 1 {
			padding = "\n"
		}
		if _, err := fmt.Fprintf(w, "%-16s%-12d%-6d%-6d%-8o%-10d`\n%s%s", m.name, b.date.Unix(), 0, 0, 0o100644,
			len(m.content), m.content, padding); err != nil {
			return err
		}
	}
	return nil
}

// control are the files that dpkg works with.
func (b *builder) control(p product, architecture string, files []entry) ([]entry, error) {
	var sums, kept strings.Builder
	size := 0
	for _, f := range files {
		if f.folder {
			continue
		}
		size += (len(f.content) + 1023) / 1024
		fmt.Fprintf(&sums, "%x  %s\n", md5.Sum(f.content), f.path)
		if f.config {
			fmt.Fprintf(&kept, "/%s\n", f.path)
		}
	}
	depends, section := "Depends: systemd | systemd-standalone-sysusers | systemd-sysusers, passwd\nRecommends: "+
		toolName+"\n", "net"
	if p.Role == "" {
		depends, section = "", "utils"
	}
	text := fmt.Sprintf("Package: %s\nVersion: %s\nArchitecture: %s\nMaintainer: %s\nInstalled-Size: %d\n%s"+
		"Section: %s\nPriority: optional\nDescription: %s\n %s\n",
		p.Name, b.packageVersion(), architecture, maintainer, size, depends, section,
		"one-way gateway for OPC UA, MQTT and syslog", strings.ReplaceAll(p.Does, "\n", "\n "))
	list := []entry{{path: "control", mode: 0o644, content: []byte(text)},
		{path: "md5sums", mode: 0o644, content: []byte(sums.String())}}
	if p.Role == "" {
		return list, nil
	}
	list = append(list, entry{path: "conffiles", mode: 0o644, content: []byte(kept.String())})
	for _, name := range []string{"postinst", "prerm", "postrm"} {
		script, err := p.text(name)
		if err != nil {
			return nil, err
		}
		list = append(list, entry{path: name, mode: 0o755, content: script})
	}
	return list, nil
}

// withFolders adds the folders above, which dpkg wants to have in an archive.
func withFolders(files []entry) []entry {
	list := slices.Clone(files)
	known := map[string]bool{}
	for _, f := range files {
		if f.folder {
			known[f.path] = true
		}
	}
	for _, f := range files {
		for above := path.Dir(f.path); above != "."; above = path.Dir(above) {
			if !known[above] {
				known[above] = true
				list = append(list, entry{path: above, mode: 0o755, folder: true})
			}
		}
	}
	return sorted(list)
}

func sorted(files []entry) []entry {
	slices.SortFunc(files, func(a, b entry) int { return strings.Compare(a.path, b.path) })
	return files
}
