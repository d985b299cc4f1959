package server

import (
	"bytes"
	"math"
	"testing"

	"github.com/gopcua/opcua/ua"

	"heliograph/firmware/opcua/client"
	"heliograph/firmware/opcua/rawvalue"
)

func value(name string) *ua.ReadValueID {
	return &ua.ReadValueID{NodeID: named(name).UA(), AttributeID: ua.AttributeIDValue}
}

func TestRead(t *testing.T) {
	s, url := start(t, nil)
	s.Set(named("taga0"), dataValue(t, []uint32{1, 2, 3}))
	c, token := newSession(t, url)
	item := func(change func(*ua.ReadValueID)) *ua.ReadValueID {
		it := value("taga0")
		change(it)
		return it
	}
	for name, tc := range map[string]struct {
		item *ua.ReadValueID
		want ua.StatusCode
		len  int // of the array, −1: none
	}{
		"a value": {value("taga0"), ua.StatusOK, 3},
		"a range": {item(func(r *ua.ReadValueID) { r.IndexRange = "1:2" }), ua.StatusOK, 2},
		"beyond the end": {item(func(r *ua.ReadValueID) { r.IndexRange = "7" }), ua.StatusBadIndexRangeNoData,
			-1},
		"a bad range": {item(func(r *ua.ReadValueID) { r.IndexRange = "2:1" }), ua.StatusBadIndexRangeInvalid,
			-1},
		"a range of a name": {item(
			func(r *ua.ReadValueID) { r.IndexRange, r.AttributeID = "1", ua.AttributeIDDisplayName }),
			ua.StatusBadIndexRangeInvalid, -1},
		"binary": {item(
			func(r *ua.ReadValueID) { r.DataEncoding = &ua.QualifiedName{Name: "Default Binary"} }), ua.StatusOK, 3},
		"XML": {item(
			func(r *ua.ReadValueID) { r.DataEncoding = &ua.QualifiedName{Name: "Default XML"} }),
			ua.StatusBadDataEncodingUnsupported, -1},
		"another encoding": {item(func(r *ua.ReadValueID) { r.DataEncoding = &ua.QualifiedName{Name: "Morse"} }),
			ua.StatusBadDataEncodingInvalid, -1},
		"no value yet": {value("tagb0"), ua.StatusBadWaitingForInitialData, -1},
		"no such node": {value("nowhere"), ua.StatusBadNodeIDUnknown, -1},
		"no such attribute": {item(func(r *ua.ReadValueID) { r.AttributeID = ua.AttributeIDSymmetric }),
			ua.StatusBadAttributeIDInvalid, -1},
		"attribute 0": {item(func(r *ua.ReadValueID) { r.AttributeID = 0 }), ua.StatusBadAttributeIDInvalid,
			-1},
		"attribute 28": {item(func(r *ua.ReadValueID) { r.AttributeID = 28 }), ua.StatusBadAttributeIDInvalid,
			-1},
		"another's attribute": {item(func(r *ua.ReadValueID) { r.AttributeID = ua.AttributeIDDisplayName }),
			ua.StatusOK, -1},
		"the server's status": {stateItem(), ua.StatusOK, -1},
		"a value of an object": {&ua.ReadValueID{NodeID: named("plant").UA(), AttributeID: ua.AttributeIDValue},
			ua.StatusBadAttributeIDInvalid, -1},
	} {
		t.Run(name, func(t *testing.T) {
			resp, code := ask(t, c, readRequest(token, tc.item))
			if code != ua.StatusOK {
				t.Fatal(code)
			}
			dv := resp.(*ua.ReadResponse).Results[0]
			if dv.Status != tc.want {
				t.Errorf("status %v, want %v", dv.Status, tc.want)
			}
			if tc.len >= 0 && (dv.Value == nil || len(dv.Value.Value().([]uint32)) != tc.len) {
				t.Errorf("value %v, want %d elements", dv.Value, tc.len)
			}
		})
	}
}

func TestReadsThatAreRefusedAsAWhole(t *testing.T) {
	_, url := start(t, func(c *Config) { c.Limits.Operations = 10 })
	c, token := newSession(t, url)
	many := readRequest(token)
	for range 11 {
		many.NodesToRead = append(many.NodesToRead,
			&ua.ReadValueID{NodeID: named("taga0").UA(), AttributeID: 13, DataEncoding: &ua.QualifiedName{}})
	}
	stamps, age, nan := readRequest(token, value("taga0")), readRequest(token, value("taga0")),
		readRequest(token, value("taga0"))
	stamps.TimestampsToReturn, age.MaxAge, nan.MaxAge = 9, -1, math.NaN()
	for name, tc := range map[string]struct {
		req  *ua.ReadRequest
		want ua.StatusCode
	}{
		"nothing": {readRequest(token), ua.StatusBadNothingToDo}, "too much": {many, ua.StatusBadTooManyOperations},
		"odd timestamps": {stamps, ua.StatusBadTimestampsToReturnInvalid},
		"negative age":   {age, ua.StatusBadMaxAgeInvalid}, "no age": {nan, ua.StatusBadMaxAgeInvalid},
	} {
		if _, code := ask(t, c, tc.req); code != tc.want {
			t.Errorf("%s: %v, want %v", name, code, tc.want)
		}
	}
}

func TestValuesAreServedByteForByte(t *testing.T) {
	s, url := start(t, nil)
	raw := []byte{1, 22, 1, 2, 9, 9, 1, 3, 0, 0, 0, 7, 8, 9} // a structure of an unknown type
	s.Set(named("taga0"), raw)
	cl, err := client.Connect(t.Context(), client.Config{Endpoint: url})
	if err != nil {
		t.Fatal(err)
	}
	defer cl.Close()
	err = cl.Read(t.Context(), []client.ReadItem{{Node: named("taga0"), Attribute: ua.AttributeIDValue}}, 0,
		func(_ int, dv rawvalue.DataValue) {
			if !bytes.Equal(dv.Value.Raw, raw[1:]) {
				t.Errorf("got %x, want %x", dv.Value.Raw, raw[1:])
			}
		})
	if err != nil {
		t.Fatal(err)
	}
}
