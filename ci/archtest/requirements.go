package archtest

import (
	"fmt"
	"io/fs"
	"path"
	"regexp"
	"strings"
)

var (
	tableRow = regexp.MustCompile(`^\|(.*)\|\s*$`)
	folderOf = regexp.MustCompile(`\(([a-z]+(?:/[a-z0-9]+)*)\)`)
)

// CheckRequirements returns the rows of a document's tables that no test proves: those whose
// last cell names none, or one that is not in the folder which follows it in brackets.
func CheckRequirements(root fs.FS, document string) (faults []string, rows int, err error) {
	text, err := fs.ReadFile(root, document)
	if err != nil {
		return nil, 0, err
	}
	head := true
	for i, line := range strings.Split(string(text), "\n") {
		row := tableRow.FindStringSubmatch(line)
		if row == nil || strings.HasPrefix(line, "|---") {
			head = row == nil
			continue
		}
		if head {
			continue
		}
		rows++
		cells := strings.Split(row[1], " | ")
		for _, fault := range proofFaults(root, cells[len(cells)-1]) {
			faults = append(faults, fmt.Sprintf("%s:%d: %s", document, i+1, fault))
		}
	}
	return faults, rows, nil
}

// proofFaults says what is wrong with the tests that a cell names.
func proofFaults(root fs.FS, cell string) (faults []string) {
	names := testName.FindAllStringIndex(cell, -1)
	if len(names) == 0 {
		return []string{"no test proves this row"}
	}
	for _, at := range names {
		name, folder := cell[at[0]:at[1]], folderOf.FindStringSubmatch(cell[at[1]:])
		switch {
		case folder == nil:
			faults = append(faults, name+": no folder follows it in brackets")
		case !hasTest(root, folder[1], name):
			faults = append(faults, fmt.Sprintf("%s has no test %s", folder[1], name))
		}
	}
	return faults
}

func hasTest(root fs.FS, folder, name string) bool {
	files, err := fs.Glob(root, path.Join(folder, "*_test.go"))
	for _, f := range files {
		text, err := fs.ReadFile(root, f)
		if err == nil && strings.Contains(string(text), "\nfunc "+name+"(") {
			return true
		}
	}
	return err != nil
}
