package event

import (
	"strings"
	"testing"

	"heliograph/firmware/opcua/addrspace"
)

func TestSelectAllAsksOnceForEachPath(t *testing.T) {
	types(t).View(func(v addrspace.View) {
		operands, more := SelectAll(v)
		var got []string
		for _, o := range operands {
			name := o.Type.String()
			for _, n := range o.Path {
				name += "/" + string(n.Name)
			}
			got = append(got, name)
		}
		want := "i=2041/Severity i=2041/Message i=2782 i=2782/Retain i=2782/EnabledState i=2782/EnabledState/Id"
		if strings.Join(got, " ") != want || more != 0 {
			t.Errorf("got %v and %d, want %v", got, more, want)
		}
	})
}
