package config

import (
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"
)

// TestEachConfiguredCertificateHasAName fills all that a configuration can name, so that a
// key which is added later is not forgotten: its certificate would end without a warning.
func TestEachConfiguredCertificateHasAName(t *testing.T) {
	var (
		tx TX
		rx RX
	)
	want := map[string]func() map[string]string{"TX": func() map[string]string { return tx.Certificates() },
		"RX": func() map[string]string { return rx.Certificates() }}
	for name, c := range map[string]any{"TX": &tx, "RX": &rx} {
		var files []string
		fillCertificates(reflect.ValueOf(c).Elem(), name, &files)
		got := slices.Sorted(maps.Values(want[name]()))
		slices.Sort(files)
		if !slices.Equal(got, files) || len(files) < 3 {
			t.Errorf("%s: got certificates\n\t%s\nwant\n\t%s", name, strings.Join(got, "\n\t"),
				strings.Join(files, "\n\t"))
		}
	}
	if got := (TX{}).Certificates(); len(got) != 0 {
		t.Errorf("of an empty configuration: got %v, want none", got)
	}
}

// fillCertificates sets each field of v that is a client's or a server's certificate. A mirror
// has none of its own: it takes that of the identity, which package identity lists.
func fillCertificates(v reflect.Value, path string, files *[]string) {
	switch v.Kind() {
	case reflect.Struct:
		for i := range v.NumField() {
			name := v.Type().Field(i).Name
			if name == "Certificate" || name == "UserCertificate" {
				file := fmt.Sprintf("%s.%s.pem", path, name)
				v.Field(i).SetString(file)
				*files = append(*files, file)
				continue
			}
			fillCertificates(v.Field(i), path+"."+name, files)
		}
	case reflect.Slice:
		if v.Type().Elem().Kind() == reflect.Struct && !strings.Contains(v.Type().Elem().PkgPath(), "net") {
			v.Set(reflect.MakeSlice(v.Type(), 1, 1))
			fillCertificates(v.Index(0), path+"[0]", files)
		}
	}
}
