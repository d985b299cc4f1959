package client

import (
	"fmt"
	"slices"

	"github.com/gopcua/opcua/ua"

	"heliograph/firmware/opcua/addrspace"
	"heliograph/firmware/opcua/rawvalue"
)

// held is what a reference takes in memory.
func held(r addrspace.Reference) int {
	const fields = 104
	return fields + len(r.Target.Text) + len(r.Type.Text) + len(r.External)
}

// results reads an array of BrowseResults into list, with at most room bytes of
// references. A node that is alone in its request may have as many as there is room.
func results(c *rawvalue.Cursor, service string, list []*browsed, room int, alone bool) error {
	const smallest = 12 // bytes of a BrowseResult
	n := c.Length(smallest)
	if c.Err() == nil && n != len(list) {
		return wrongCount(service, n, len(list))
	}
	for _, b := range list {
		left, err := b.read(c, service, room)
		if err != nil {
			return err
		}
		room = left
	}
	switch err := c.Err(); {
	case err != nil:
		return malformedAnswer(service, err)
	case room < 0 && alone:
		list[0].over = true
	case room < 0: // the points are known, and can be released
		return &Error{Service: service, Code: ua.StatusBadEncodingLimitsExceeded,
			Reason: fmt.Sprintf("more than %d MiB of references", maxReferences>>20)}
	}
	return nil
}

// read reads the BrowseResult of one node, and keeps its references while there is
// room. It returns what is left of room, a negative number once something was not kept.
func (b *browsed) read(c *rawvalue.Cursor, service string, room int) (int, error) {
	b.status = ua.StatusCode(c.Uint32())
	b.point = nil
	if p := c.Bytes(); len(p) > maxContinuation {
		return room, &Error{Service: service, Code: ua.StatusBadEncodingLimitsExceeded,
			Reason: "a continuation point is longer than 64 KiB"}
	} else if len(p) > 0 {
		b.point = append([]byte(nil), p...)
	}
	before := len(b.refs)
	for range max(0, c.Length(18)) { // bytes of the smallest ReferenceDescription
		r, err := reference(c)
		if err != nil {
			return room, malformedAnswer(service, err)
		}
		if room >= 0 {
			room -= held(r)
		}
		if room >= 0 {
			b.refs = append(b.refs, r)
			b.size += held(r)
		}
	}
	if isBad(b.status) {
		b.refs, b.size, b.point = nil, 0, nil
	}
	b.rounds++
	if b.empty++; len(b.refs) > before {
		b.empty = 0
	}
	b.over = b.empty > maxEmpty || b.rounds > maxContinuations+len(b.refs)/perContinuation
	return room, nil
}

// resolveLocal finds the nodes of this server that references name by a namespace URI in
// the place of its index (OPC 10000-4 §7.16).
func (s *Session) resolveLocal(refs []addrspace.Reference) {
	for i, r := range refs {
		if r.External == "" {
			continue
		}
		raw := []byte(r.External)
		const uri, server = 0x80, 0x40
		flags := raw[0]
		raw[0] &^= uri | server
		c := rawvalue.NewCursor(raw, rawvalue.Limits{})
		node, err := rawvalue.ParseNodeID(c.NodeID())
		if flags&uri != 0 {
			at := slices.Index(s.namespaces, string(c.Bytes()))
			if at < 0 {
				continue
			}
			node.Namespace = uint16(at)
		}
		if flags&server != 0 && c.Uint32() != 0 || err != nil || c.Err() != nil {
			continue
		}
		refs[i].Target, refs[i].External = node, ""
	}
}

// reference reads a ReferenceDescription (OPC 10000-4 §7.30).
func reference(c *rawvalue.Cursor) (addrspace.Reference, error) {
	kind := c.NodeID()
	forward := c.Byte() != 0
	target := c.ExpandedNodeID()
	c.QualifiedName()
	c.LocalizedText()
	c.Uint32() // class
	c.ExpandedNodeID()
	if err := c.Err(); err != nil {
		return addrspace.Reference{}, err
	}
	r := addrspace.Reference{Inverse: !forward}
	var err error
	if r.Type, err = rawvalue.ParseNodeID(kind); err != nil {
		return r, err
	}
	if target[0]&0xc0 != 0 { // it names a namespace by its URI, or another server
		r.External = string(target)
		return r, nil
	}
	r.Target, err = rawvalue.ParseNodeID(target)
	return r, err
}
