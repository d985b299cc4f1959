package client

import (
	"context"

	"github.com/gopcua/opcua/id"
	"github.com/gopcua/opcua/ua"

	"heliograph/firmware/opcua/rawvalue"
)

// ConditionRefresh has the server send the state of all its conditions again, to the
// subscription's event items. It is the one method that this client calls.
func (s *Session) ConditionRefresh(ctx context.Context, sub *Subscription) error {
	sv := conditionRefresh()
	a, err := s.do(ctx, sv, 0, func(b []byte) []byte { return appendConditionRefresh(b, sub.id) })
	if err != nil {
		return err
	}
	n := a.Length(4)
	code := ua.StatusCode(a.Uint32())
	switch {
	case a.Err() != nil:
		return malformedAnswer(sv.name, a.Err())
	case n != 1:
		return wrongCount(sv.name, n, 1)
	case isBad(code):
		return &Error{Service: sv.name, Code: code}
	}
	return nil
}

// appendConditionRefresh appends the body of a Call of that method.
func appendConditionRefresh(b []byte, subscription uint32) []byte {
	b = appendUint32(b, 1)
	b = rawvalue.NodeID{Number: id.ConditionType}.AppendTo(b)
	b = rawvalue.NodeID{Number: id.ConditionType_ConditionRefresh}.AppendTo(b)
	b = appendUint32(b, 1)
	return appendUint32(append(b, byte(ua.TypeIDUint32)), subscription)
}
