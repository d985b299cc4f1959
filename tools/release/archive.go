package main

import (
	"archive/tar"
	"archive/zip"
	"compress/gzip"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"
)

const toolName = "heliograph"

// entry is a file or folder of an archive or package.
type entry struct {
	path    string // with slashes, without one at its end
	mode    int64  // permissions
	folder  bool
	content []byte
	owner   int  // of a container's folder
	config  bool // of a package: kept when it was changed
}

// tools makes the tool's archives.
func (b *builder) tools() error {
	for _, platform := range b.platform {
		program, err := b.program(platform, toolName)
		if err != nil {
			return err
		}
		name := "heliograph_" + b.version + "_" + strings.ReplaceAll(platform, "/", "_")
		files, err := b.toolFiles(name, program, strings.HasPrefix(platform, "windows/"))
		if err != nil {
			return err
		}
		if strings.HasPrefix(platform, "windows/") {
			err = b.create(name+".zip", func(w io.Writer) error { return writeZip(w, files, b.date) })
		} else {
			err = b.create(name+".tar.gz", func(w io.Writer) error { return writeTarGzip(w, files, b.date) })
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// toolFiles are the program and what is to be read, in a folder, sorted.
func (b *builder) toolFiles(folder, program string, windows bool) ([]entry, error) {
	binary, err := os.ReadFile(program)
	if err != nil {
		return nil, err
	}
	name := toolName
	if windows {
		name += ".exe"
	}
	files := []entry{{path: folder, mode: 0o755, folder: true}, {path: folder + "/" + name, mode: 0o755,
		content: binary}}
	licence, err := os.ReadFile(filepath.Join(b.source, "LICENSE"))
	if err != nil {
		return nil, err
	}
	licences, err := b.licences(program)
	if err != nil {
		return nil, err
	}
	documents, err := b.documents()
	if err != nil {
		return nil, err
	}
	manual, err := b.unpacked(windows)
	if err != nil {
		return nil, err
	}
	for _, e := range append(append(documents, manual...), entry{path: "LICENSE", mode: 0o644, content: licence},
		entry{path: licencesFile, mode: 0o644, content: licences}) {
		e.path = folder + "/" + e.path
		files = append(files, e)
	}
	return withFolders(files), nil
}

func writeZip(w io.Writer, files []entry, date time.Time) error {
	z := zip.NewWriter(w)
	for _, e := range files {
		h := &zip.FileHeader{Name: e.path, Method: zip.Deflate, Modified: date}
		if e.folder {
			h.Name, h.Method = e.path+"/", zip.Store
		}
		h.SetMode(e.fileMode())
		to, err := z.CreateHeader(h)
		if err != nil {
			return err
		}
		if _, err := to.Write(e.content); err != nil {
			return err
		}
	}
	return z.Close()
}

func (e entry) fileMode() os.FileMode {
	m := os.FileMode(e.mode)
	if e.folder {
		m |= os.ModeDir
	}
	return m
}

func writeTarGzip(w io.Writer, files []entry, date time.Time) error {
	z := gzip.NewWriter(w)
	if err := writeTar(z, files, date); err != nil {
		return err
	}
	return z.Close()
}

func writeTar(w io.Writer, files []entry, date time.Time) error {
	t := tar.NewWriter(w)
	for _, e := range files {
		h := &tar.Header{Name: e.path, Mode: e.mode, Size: int64(len(e.content)), ModTime: date, Uid: e.owner,
			Gid: e.owner, Typeflag: tar.TypeReg, Format: tar.FormatUSTAR}
		if e.owner == 0 {
			h.Uname, h.Gname = "root", "root"
		}
		if e.folder {
			h.Typeflag, h.Name = tar.TypeDir, e.path+"/"
		}
		if err := t.WriteHeader(h); err != nil {
			return err
		}
		if _, err := t.Write(e.content); err != nil {
			return err
		}
	}
	return t.Close()
}
