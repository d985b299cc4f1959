package handover_test

import (
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"heliograph/firmware/platform/handover"
)

func TestRefusalIsReadBack(t *testing.T) {
	if _, asked, err := handover.ReadRefusal(); asked || err != nil {
		t.Errorf("variable not set: got %v, %v; want false, nil", asked, err)
	}
	file := filepath.Join(t.TempDir(), "refusal.json")
	t.Setenv(handover.Refused, file)
	if _, asked, err := handover.ReadRefusal(); !asked || err == nil {
		t.Errorf("no file: got %v, %v; want true and an error", asked, err)
	}
	want := handover.Refusal{Listen: "0.0.0.0:9464", Faults: []string{"heliograph.toml:3: unknown key"}}
	if err := handover.WriteRefusal(file, want); err != nil {
		t.Fatal(err)
	}
	if got, asked, err := handover.ReadRefusal(); !asked || err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, %v, %v; want %+v", got, asked, err, want)
	}
	if err := handover.WriteRefusal(file, handover.Refusal{Listen: strings.Repeat("x", 300<<10)}); err == nil {
		t.Error("a file larger than what is read: got no error")
	}
	for name, content := range map[string]string{"not JSON": "{", "no fault": `{"listen": ":1"}`, "nowhere": `{"faults": ["x"]}`} {
		if err := os.Remove(file); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, asked, err := handover.ReadRefusal(); !asked || err == nil {
			t.Errorf("%s: got %v, %v; want true and an error", name, asked, err)
		}
	}
}
