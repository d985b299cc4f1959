package image

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

// What the names of base images end in.
const (
	packedEnd = ".img.zst"
	plainEnd  = ".img"
)

// BaseName is the file name of the base image of a version, board and role.
func BaseName(version, board, role string) string {
	return "heliograph-" + version + "-" + board + "-" + role + packedEnd
}

// base is a base image that was found.
type base struct{ path, version string }

// findBase returns the base image of a board and role: in the folder that the options
// name, or where this program looks, see beside. There is none with an empty path: build it.
func (o Options) findBase() (base, error) {
	folders, err := o.folders()
	if err != nil {
		return base{}, err
	}
	all, err := o.baseImages(folders)
	if err != nil {
		return base{}, err
	}
	if i := slices.IndexFunc(all, func(b base) bool { return b.version == o.Version }); i >= 0 {
		return all[i], nil
	}
	if o.Images != "" && len(all) == 1 {
		o.note("%s is of version %s, and this program of %s: it may know keys of the configuration that the board "+
			"does not", filepath.Base(all[0].path), all[0].version, o.Version)
		return all[0], nil
	}
	if o.Images == "" && o.checkout() {
		if _, err := exec.LookPath("go"); err != nil {
			return base{}, fmt.Errorf("image: no base image for %s %s in %s, and no Go to build one from this checkout",
				o.Board.Name, o.Role, strings.Join(folders, ", "))
		}
		return base{}, nil
	}
	if len(all) > 0 {
		return base{}, fmt.Errorf("image: %s has the base image of %s %s in version %s, and this program is %s: use "+
			"the heliograph of the same release, or name the folder with --images if it has that image alone",
			filepath.Dir(all[0].path), o.Board.Name, o.Role, all[0].version, o.Version)
	}
	return base{}, fmt.Errorf("image: no base image for %s %s in %s: unpack the release beside this program, or "+
		"name its folder with --images", o.Board.Name, o.Role, strings.Join(folders, ", "))
}

// folders are where base images may be.
func (o Options) folders() ([]string, error) {
	at := o.Images
	if at == "" {
		program, err := os.Executable()
		if err != nil {
			return nil, fmt.Errorf("image: %v", err)
		}
		if real, err := filepath.EvalSymlinks(program); err == nil {
			program = real
		}
		return beside(program), nil
	} else if _, err := os.Stat(at); err != nil {
		return nil, fmt.Errorf("image: --images: %v", err)
	}
	return []string{at, filepath.Join(at, "images")}, nil
}

// packageFolder is where a package of Linux has base images.
const packageFolder = "/usr/share/heliograph/images"

// beside lists where a program looks: an archive unpacks into a folder beside the images.
func beside(program string) []string {
	at := filepath.Dir(program)
	return []string{at, filepath.Join(at, "images"), filepath.Dir(at), packageFolder}
}

// baseImages lists those of the board and role, packed ones first.
func (o Options) baseImages(folders []string) ([]base, error) {
	var list []base
	for _, end := range []string{packedEnd, plainEnd} {
		end = "-" + o.Board.Name + "-" + o.Role + end
		for _, folder := range folders {
			files, err := os.ReadDir(folder)
			if errors.Is(err, os.ErrPermission) && o.Images == "" {
				continue // it was not named
			}
			if err != nil && !errors.Is(err, os.ErrNotExist) {
				return nil, fmt.Errorf("image: %v", err)
			}
			for _, f := range files {
				version, ok := strings.CutPrefix(f.Name(), "heliograph-")
				if version, fits := strings.CutSuffix(version, end); ok && fits && version != "" {
					list = append(list, base{filepath.Join(folder, f.Name()), version})
				}
			}
		}
	}
	return list, nil
}

// checkout says whether Source is one of this module.
func (o Options) checkout() bool {
	if o.Source == "" {
		return false
	}
	b, err := os.ReadFile(filepath.Join(o.Source, "go.mod"))
	return err == nil && strings.HasPrefix(string(b), "module heliograph\n")
}

// note says something on a line of its own that is not an error.
func (o Options) note(format string, args ...any) {
	if o.Notes != nil {
		fmt.Fprintf(o.Notes, format+"\n", args...)
	}
}
