package uabinary

import (
	"testing"

	"github.com/gopcua/opcua/ua"
)

func TestCheckDataEncoding(t *testing.T) {
	for name, tt := range map[string]struct {
		encoding  *ua.QualifiedName
		attribute ua.AttributeID
		want      ua.StatusCode
	}{
		"none":                       {nil, ua.AttributeIDValue, ua.StatusOK},
		"null":                       {&ua.QualifiedName{}, ua.AttributeIDValue, ua.StatusOK},
		"null, of another attribute": {&ua.QualifiedName{}, ua.AttributeIDDisplayName, ua.StatusOK},
		"null in a namespace":        {&ua.QualifiedName{NamespaceIndex: 3}, ua.AttributeIDValue, ua.StatusOK},
		"binary":                     {&ua.QualifiedName{Name: "Default Binary"}, ua.AttributeIDValue, ua.StatusOK},
		"binary of another namespace": {&ua.QualifiedName{NamespaceIndex: 1, Name: "Default Binary"},
			ua.AttributeIDValue, ua.StatusBadDataEncodingInvalid},
		"binary, of another attribute": {&ua.QualifiedName{Name: "Default Binary"}, ua.AttributeIDDisplayName,
			ua.StatusBadDataEncodingInvalid},
		"XML": {&ua.QualifiedName{Name: "Default XML"}, ua.AttributeIDValue,
			ua.StatusBadDataEncodingUnsupported},
		"JSON": {&ua.QualifiedName{Name: "Default JSON"}, ua.AttributeIDValue,
			ua.StatusBadDataEncodingUnsupported},
		"XML, of another attribute": {&ua.QualifiedName{Name: "Default XML"}, ua.AttributeIDDataType,
			ua.StatusBadDataEncodingInvalid},
		"XML of another namespace": {&ua.QualifiedName{NamespaceIndex: 1, Name: "Default XML"},
			ua.AttributeIDValue, ua.StatusBadDataEncodingInvalid},
		"one that the standard lacks": {&ua.QualifiedName{Name: "Morse"}, ua.AttributeIDValue,
			ua.StatusBadDataEncodingInvalid},
		"the wrong case": {&ua.QualifiedName{Name: "default binary"}, ua.AttributeIDValue,
			ua.StatusBadDataEncodingInvalid},
		"unknown, of another attribute": {&ua.QualifiedName{Name: "Morse"}, ua.AttributeIDNodeID,
			ua.StatusBadDataEncodingInvalid},
	} {
		t.Run(name, func(t *testing.T) {
			if got := CheckDataEncoding(tt.encoding, tt.attribute); got != tt.want {
				t.Errorf("got %v, want %v", got, tt.want)
			}
		})
	}
}
