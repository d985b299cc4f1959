package nodes

import (
	"encoding/json"
	"reflect"
	"strings"
	"time"

	"github.com/gopcua/opcua/id"

	"heliograph/firmware/platform/status"
)

// field is a variable of a part.
type field struct {
	name     string
	dataType uint32
	rank     int32 // 1: an array
	value    any   // of the library's types; nil: not known
}

// fields returns the fields of a struct by the names of its JSON form. What is neither text,
// number, moment nor a list is left out.
func fields(part any) (list []field) {
	v := reflect.ValueOf(part)
	for i := range v.NumField() {
		kind := v.Type().Field(i)
		if kind.Anonymous {
			list = append(list, fields(v.Field(i).Interface())...)
			continue
		}
		name, _, _ := strings.Cut(kind.Tag.Get("json"), ",")
		if name == "" || name == "-" {
			continue
		}
		if f, ok := fieldOf(v.Field(i)); ok {
			f.name = name
			list = append(list, f)
		}
	}
	return list
}

func fieldOf(v reflect.Value) (f field, ok bool) {
	known := true
	if v.Kind() == reflect.Pointer {
		if known = !v.IsNil(); known {
			v = v.Elem()
		} else {
			v = reflect.Zero(v.Type().Elem())
		}
	}
	f.rank = -1
	switch moment, isTime := v.Interface().(time.Time); {
	case isTime:
		known = known && !moment.IsZero()
		f.dataType, f.value = id.DateTime, moment.UTC()
	case v.Kind() == reflect.String:
		f.dataType, f.value = id.String, v.String()
	case v.Kind() == reflect.Bool:
		f.dataType, f.value = id.Boolean, v.Bool()
	case v.CanUint():
		f.dataType, f.value = id.UInt64, v.Uint()
	case v.CanInt():
		f.dataType, f.value = id.Int64, v.Int()
	case v.CanFloat():
		f.dataType, f.value = id.Double, v.Float()
	case v.Kind() == reflect.Slice && !v.IsNil():
		f.dataType, f.rank, f.value = id.String, 1, texts(v)
	default:
		return f, false
	}
	if !known {
		f.value = nil
	}
	return f, true
}

// texts are the elements of a list, each as a person reads it.
func texts(v reflect.Value) []string {
	list := make([]string, v.Len())
	for i := range list {
		switch e := v.Index(i).Interface().(type) {
		case string:
			list[i] = e
		case status.TrustReason:
			list[i] = e.Text
			if e.Channel != "" {
				list[i] = e.Channel + ": " + e.Text
			}
		default:
			b, _ := json.Marshal(e) // structs of texts and numbers
			list[i] = string(b)
		}
	}
	return list
}
