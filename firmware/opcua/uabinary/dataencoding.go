package uabinary

import "github.com/gopcua/opcua/ua"

// CheckDataEncoding checks the DataEncoding that a client asks for with an attribute
// (OPC 10000-4 §5.11.2, §7.3): null, or Default Binary for a Value. The other encodings
// that the standard names are unsupported, everything else is invalid.
func CheckDataEncoding(encoding *ua.QualifiedName, attribute ua.AttributeID) ua.StatusCode {
	switch {
	case encoding == nil || encoding.Name == "":
		return ua.StatusOK
	case attribute != ua.AttributeIDValue || encoding.NamespaceIndex != 0:
		return ua.StatusBadDataEncodingInvalid
	}
	switch encoding.Name {
	case "Default Binary":
		return ua.StatusOK
	case "Default XML", "Default JSON":
		return ua.StatusBadDataEncodingUnsupported
	}
	return ua.StatusBadDataEncodingInvalid
}
