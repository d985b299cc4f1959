package broker

import payload "heliograph/firmware/conduit/payload/mqtt"

// Property identifiers (MQTT 5.0 section 2.2.2.2).
const (
	propFormat         = 0x01
	propExpiry         = 0x02
	propContentType    = 0x03
	propResponse       = 0x08
	propCorrelation    = 0x09
	propSubscription   = 0x0b
	propSessionExpiry  = 0x11
	propAssignedID     = 0x12
	propAuthMethod     = 0x15
	propAuthData       = 0x16
	propProblemInfo    = 0x17
	propWillDelay      = 0x18
	propResponseInfo   = 0x19
	propReason         = 0x1f
	propReceiveMaximum = 0x21
	propAliasMaximum   = 0x22
	propAlias          = 0x23
	propUser           = 0x26
	propMaximumPacket  = 0x27
	propSharedSub      = 0x2a
)

// The properties that a client's packets may have, a bit each.
const (
	propertiesOfConnect = 1<<propSessionExpiry | 1<<propAuthMethod | 1<<propAuthData | 1<<propProblemInfo |
		1<<propResponseInfo | 1<<propReceiveMaximum | 1<<propAliasMaximum | 1<<propUser | 1<<propMaximumPacket
	propertiesOfPublish = 1<<propFormat | 1<<propExpiry | 1<<propContentType | 1<<propResponse | 1<<propCorrelation |
		1<<propAlias | 1<<propUser
	propertiesOfWill        = propertiesOfPublish&^(1<<propAlias) | 1<<propWillDelay
	propertiesOfSubscribe   = 1<<propSubscription | 1<<propUser
	propertiesOfUnsubscribe = 1 << propUser
	propertiesOfAck         = 1<<propReason | 1<<propUser
	propertiesOfDisconnect  = 1<<propSessionExpiry | 1<<propReason | 1<<propUser
)

// properties are the properties of a packet.
type properties struct {
	seen    uint64 // a bit for each
	numbers map[byte]uint32
	texts   map[byte]string // strings and binary data
	user    []payload.Property
}

func (p *properties) has(id byte) bool { return p.seen>>id&1 == 1 }

func (p *properties) number(id byte) uint32 { return p.numbers[id] }

// read reads a length and as many bytes of properties, of which each may come
// once, user properties excepted.
func (p *properties) read(r *reader, allowed uint64) {
	in := reader{b: r.next(int(r.varint()))}
	for len(in.b) > 0 && !in.bad && !r.bad {
		id := in.byte()
		if id >= 64 || allowed>>id&1 == 0 || id != propUser && p.has(id) || len(p.user) > payload.MaxUserProperties {
			r.bad = true
			return
		}
		p.seen |= 1 << id
		p.value(&in, id)
	}
	r.bad = r.bad || in.bad
}

func (p *properties) value(in *reader, id byte) {
	switch id {
	case propUser:
		name := in.string()
		p.user = append(p.user, payload.Property{Name: name, Value: in.string()})
	case propContentType, propResponse, propAuthMethod, propReason:
		p.setText(id, in.string())
	case propCorrelation, propAuthData:
		p.setText(id, string(in.binary()))
	case propFormat, propProblemInfo, propResponseInfo:
		n := in.byte()
		in.bad = in.bad || n > 1
		p.setNumber(id, uint32(n))
	case propReceiveMaximum, propAliasMaximum, propAlias:
		n := in.uint16()
		in.bad = in.bad || n == 0 && id == propReceiveMaximum
		p.setNumber(id, uint32(n))
	case propSubscription:
		p.setNumber(id, in.varint())
	default:
		n := in.uint32()
		in.bad = in.bad || n == 0 && id == propMaximumPacket
		p.setNumber(id, n)
	}
}

func (p *properties) setNumber(id byte, n uint32) {
	if p.numbers == nil {
		p.numbers = map[byte]uint32{}
	}
	p.numbers[id] = n
}

func (p *properties) setText(id byte, s string) {
	if p.texts == nil {
		p.texts = map[byte]string{}
	}
	p.texts[id] = s
}
