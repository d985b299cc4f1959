package main

import (
	"os"
	"strings"
	"testing"
	"testing/fstest"

	"heliograph/tools/flash"
)

func TestAProgramGetsDrives(t *testing.T) {
	root := fstest.MapFS{"proc/self/mountinfo": {}, "proc/swaps": {}, "sys/block": {Mode: os.ModeDir}}
	list := func() map[string]any {
		var out strings.Builder
		if err := listDrives(&out, flash.Writer{Machine: flash.Linux{Root: root}}, true); err != nil {
			t.Fatal(err)
		}
		return object(t, out.String())
	}
	has(t, list(), `"drives":[]`)
	for name, text := range map[string]string{"sdb/size": "31116288", "sdb/removable": "1", "sdb/dev": "8:16"} {
		root["sys/block/"+name] = &fstest.MapFile{Data: []byte(text + "\n")}
	}
	has(t, list(), `"path":"/dev/sdb"`, `"size_bytes":15931539456`, `"ready":true`)
}
