package packed

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"
	"strings"

	"heliograph/firmware/platform/regular"
)

// mostSums is more than a list of checksums has.
const mostSums = 1 << 20

// CompareSum compares a file with the checksum beside it: FILE.sha256, or the line of the
// file in SHA256SUMS there or, as in an unpacked release, one folder up. It returns which
// of them lists the file; "" when none does, and nothing was compared. It leaves f at its
// start.
func CompareSum(name string, f io.ReadSeeker) (list string, err error) {
	want, list, err := sumOf(name)
	if err != nil || want == "" {
		return "", err
	}
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return "", err
	}
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return "", err
	}
	if got := hex.EncodeToString(h.Sum(nil)); got != want {
		return "", fmt.Errorf("its SHA-256 is %s…, and %s says %s…: copy or download it again", got[:12], list,
			want[:12])
	}
	return list, nil
}

// sumOf returns the checksum that is listed for a file, and where; "" if none is.
func sumOf(name string) (sum, list string, err error) {
	dir, base := filepath.Dir(name), filepath.Base(name)
	for _, list := range []string{name + ".sha256", filepath.Join(dir, "SHA256SUMS"),
		filepath.Join(dir, "..", "SHA256SUMS")} {
		text, err := readSums(list)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return "", "", err
		}
		alone := list == name+".sha256"
		for line := range strings.Lines(text) {
			sum, file, _ := strings.Cut(strings.TrimSpace(line), " ")
			file = strings.TrimPrefix(strings.TrimSpace(file), "*")
			if sum == "" || !alone && filepath.Base(file) != base {
				continue
			}
			if b, err := hex.DecodeString(sum); err != nil || len(b) != sha256.Size {
				return "", "", fmt.Errorf("%s has %.70q where its SHA-256 should be", list, sum)
			}
			return strings.ToLower(sum), list, nil
		}
	}
	return "", "", nil
}

func readSums(list string) (string, error) {
	b, err := regular.Read(list, mostSums)
	return string(b), err
}
