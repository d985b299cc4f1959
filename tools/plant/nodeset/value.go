package nodeset

import (
	"encoding/base64"
	"encoding/xml"
	"strings"
	"time"

	"github.com/gopcua/opcua/ua"

	"heliograph/firmware/opcua/addrspace"
	"heliograph/firmware/opcua/rawvalue"
)

// Builder makes a node.
type Builder struct{ Node addrspace.Node }

// NewNode begins a node with the attributes that every node has.
func NewNode(node rawvalue.NodeID, class ua.NodeClass, name *ua.QualifiedName, display *ua.LocalizedText) *Builder {
	b := &Builder{Node: addrspace.Node{ID: node}}
	b.Attribute(ua.AttributeIDNodeID, node.UA())
	b.Attribute(ua.AttributeIDNodeClass, int32(class))
	b.Attribute(ua.AttributeIDBrowseName, name)
	b.Attribute(ua.AttributeIDDisplayName, display)
	b.Attribute(ua.AttributeIDWriteMask, uint32(0))
	b.Attribute(ua.AttributeIDUserWriteMask, uint32(0))
	return b
}

// Attribute sets an attribute to a value of the library's types.
func (b *Builder) Attribute(a ua.AttributeID, v any) *Builder {
	b.Node.Attributes = append(b.Node.Attributes, addrspace.Attribute{ID: a, Value: DataValue(ua.MustVariant(v))})
	return b
}

// Reference adds a reference.
func (b *Builder) Reference(kind uint32, target rawvalue.NodeID, inverse bool) *Builder {
	r := addrspace.Reference{Type: rawvalue.NodeID{Number: kind}, Target: target, Inverse: inverse}
	b.Node.References = append(b.Node.References, r)
	return b
}

// DataValue encodes a value without status and timestamps.
func DataValue(v *ua.Variant) []byte {
	raw, err := (&ua.DataValue{EncodingMask: ua.DataValueValue, Value: v}).Encode()
	if err != nil {
		panic(err) // what we simulate can be encoded
	}
	return raw
}

type value struct {
	Text           *string   `xml:"String"`
	Localized      *uaText   `xml:"LocalizedText"`
	Bool           *bool     `xml:"Boolean"`
	Date           *string   `xml:"DateTime"`
	Bytes          *string   `xml:"ByteString"`
	Texts          *[]string `xml:"ListOfString>String"`
	LocalizedTexts *[]uaText `xml:"ListOfLocalizedText>LocalizedText"`
	Objects        *[]object `xml:"ListOfExtensionObject>ExtensionObject"`
}

type uaText struct {
	Locale string
	Text   string
}

func (t uaText) ua() *ua.LocalizedText { return ua.NewLocalizedTextWithLocale(t.Text, t.Locale) }

type object struct {
	TypeID string `xml:"TypeId>Identifier"`
	Body   struct {
		Argument *struct {
			Name        string
			DataType    string `xml:"DataType>Identifier"`
			ValueRank   int32
			Description uaText
		}
		EnumValue *struct {
			Value       int64
			DisplayName uaText
			Description uaText
		} `xml:"EnumValueType"`
		Other []struct{ XMLName xml.Name } `xml:",any"`
	}
}

// variant returns the value, if it is of a kind that is read here.
func (v *value) variant() (*ua.Variant, bool) {
	switch {
	case v.Text != nil:
		return ua.MustVariant(*v.Text), true
	case v.Localized != nil:
		return ua.MustVariant(v.Localized.ua()), true
	case v.Bool != nil:
		return ua.MustVariant(*v.Bool), true
	case v.Date != nil:
		at, err := time.Parse(time.RFC3339, *v.Date)
		return ua.MustVariant(at), err == nil
	case v.Bytes != nil:
		raw, err := base64.StdEncoding.DecodeString(strings.Join(strings.Fields(*v.Bytes), ""))
		return ua.MustVariant(raw), err == nil
	case v.Texts != nil:
		return ua.MustVariant(*v.Texts), true
	case v.LocalizedTexts != nil:
		var list []*ua.LocalizedText
		for _, t := range *v.LocalizedTexts {
			list = append(list, t.ua())
		}
		return ua.MustVariant(list), true
	case v.Objects != nil:
		return objects(*v.Objects)
	}
	return nil, false
}

func objects(list []object) (*ua.Variant, bool) {
	var out []*ua.ExtensionObject
	for _, o := range list {
		switch a, e := o.Body.Argument, o.Body.EnumValue; {
		case a != nil:
			dataType, err := ua.ParseNodeID(a.DataType)
			if err != nil {
				return nil, false
			}
			out = append(out, ua.NewExtensionObject(&ua.Argument{Name: a.Name, DataType: dataType,
				ValueRank: a.ValueRank, Description: a.Description.ua()}))
		case e != nil:
			out = append(out, ua.NewExtensionObject(&ua.EnumValueType{Value: e.Value, DisplayName: e.DisplayName.ua(),
				Description: e.Description.ua()}))
		default:
			return nil, false
		}
	}
	return ua.MustVariant(out), true
}
