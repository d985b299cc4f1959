// Package pattern reads the include and exclude patterns of an OPC UA source.
//
//	/Objects/Plant/**     browse path: BrowseNames from the Root folder on, without their
//	                      namespace or with it ("2:Press"); * and ? match within a name,
//	                      ** any number of names
//	ns=2;s=Press          NodeId: the node and what is below it
//
// It refuses what a server could not have. What a pattern matches is decided elsewhere.
package pattern

import (
	"errors"
	"fmt"
	"path"
	"strings"

	"github.com/gopcua/opcua/ua"
)

// Bounds of all patterns of a source together, and of one.
const (
	MaxNames = 4096 // of browse paths: each costs a bit for each node
	MaxBytes = 4096
)

// Pattern is a browse path or a NodeId.
type Pattern struct {
	Names []string   // of a browse path
	Node  *ua.NodeID // nil: a browse path
}

// Parse reads one pattern.
func Parse(s string) (Pattern, error) {
	if len(s) > MaxBytes {
		return Pattern{}, fmt.Errorf("it has %d bytes, and at most %d are allowed", len(s), MaxBytes)
	}
	if !strings.HasPrefix(s, "/") {
		n, err := ua.ParseNodeID(s)
		if err != nil || !strings.Contains(s, "=") { // the library takes any word for a String
			return Pattern{}, errors.New(
				"it is neither a browse path (\"/Objects/Plant/**\") nor a NodeId (\"ns=2;s=Press\")")
		}
		return Pattern{Node: n}, nil
	}
	p := Pattern{Names: strings.Split(strings.Trim(s, "/"), "/")}
	for _, name := range p.Names {
		if _, err := path.Match(name, ""); err != nil {
			return Pattern{}, fmt.Errorf("%q is not a name: put a backslash before [ and \\", name)
		}
	}
	return p, nil
}

// TooMany returns an error where the patterns of a source have more names than are allowed.
func TooMany(names int) error {
	if names <= MaxNames {
		return nil
	}
	return fmt.Errorf("the browse paths of include and exclude have %d names, and at most %d are allowed", names,
		MaxNames)
}
