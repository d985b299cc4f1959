package server

import (
	"sync"
	"testing"

	"github.com/gopcua/opcua/id"
	"github.com/gopcua/opcua/ua"

	"heliograph/firmware/opcua/addrspace"
	"heliograph/firmware/opcua/client"
	"heliograph/firmware/opcua/rawvalue"
	"heliograph/firmware/opcua/subscription"
)

func TestEncryptionRequiredNeedsEncryption(t *testing.T) {
	restrict := func(c *Config) {
		c.Anonymous = true
		_, err := c.Space.Apply([]addrspace.Change{{Kind: addrspace.SetAttributes, Node: addrspace.Node{
			ID: named("taga0"),
			Attributes: []addrspace.Attribute{{ID: ua.AttributeIDAccessRestrictions,
				Value: dataValue(t, uint16(encryptionRequired|appliesToBrowse))}},
		}}})
		if err != nil {
			t.Fatal(err)
		}
	}
	s, url, theirs := pair(t, restrict)
	s.Set(named("taga0"), dataValue(t, uint32(1)))
	for _, security := range secured[:2] {
		c, err := connect(t, url, security, theirs, client.User{})
		if err != nil {
			t.Fatal(err)
		}
		want, listed := ua.StatusOK, 40
		if security.Mode == ua.MessageSecurityModeSign {
			want, listed = ua.StatusBadSecurityModeInsufficient, 39
		}
		_ = c.Read(t.Context(), []client.ReadItem{{Node: named("taga0"), Attribute: ua.AttributeIDValue}}, 0,
			func(_ int, dv rawvalue.DataValue) {
				if dv.Status != want {
					t.Errorf("%v: read %v, want %v", security.Mode, dv.Status, want)
				}
			})
		_ = c.Browse(t.Context(), []rawvalue.NodeID{named("plant")},
			func(_ int, _ ua.StatusCode, refs []addrspace.Reference) {
				if len(refs) != listed {
					t.Errorf("%v: %d references, want %d", security.Mode, len(refs), listed)
				}
			})
	}
}

// metadata gives namespace 1 the nodes that describe it.
func metadata(t *testing.T, space *addrspace.Space) {
	t.Helper()
	property := func(of, name string) addrspace.Node {
		return addrspace.Node{ID: named(of + name), Attributes: []addrspace.Attribute{
			{ID: ua.AttributeIDNodeClass, Value: dataValue(t, int32(ua.NodeClassVariable))},
			{ID: ua.AttributeIDBrowseName, Value: dataValue(t, &ua.QualifiedName{Name: name})},
		}}
	}
	put := func(n addrspace.Node) addrspace.Change { return addrspace.Change{Kind: addrspace.Put, Node: n} }
	_, err := space.Apply([]addrspace.Change{
		put(addrspace.Node{ID: ns0(id.Server_Namespaces),
			References: []addrspace.Reference{{Type: ns0(id.HasComponent), Target: named("meta")}}}),
		put(addrspace.Node{ID: named("meta"), References: []addrspace.Reference{
			{Type: ns0(id.HasProperty), Target: named("metaNamespaceUri")},
			{Type: ns0(id.HasProperty), Target: named("metaDefaultAccessRestrictions")},
		}}),
		put(property("meta", "NamespaceUri")), put(property("meta", "DefaultAccessRestrictions")),
		put(addrspace.Node{ID: ns0(id.HasProperty)}),
	})
	if err != nil {
		t.Fatal(err)
	}
}

// A namespace's default holds for its nodes that say nothing of their own.
func TestDefaultRestrictionsOfANamespaceApply(t *testing.T) {
	s, url, theirs := pair(t, func(c *Config) {
		metadata(t, c.Space)
		_, err := c.Space.Apply([]addrspace.Change{{Kind: addrspace.SetAttributes, Node: addrspace.Node{
			ID:         named("tagb0"),
			Attributes: []addrspace.Attribute{{ID: ua.AttributeIDAccessRestrictions, Value: dataValue(t, uint16(0))}},
		}}})
		if err != nil {
			t.Fatal(err)
		}
	})
	s.SetNamespaces([]string{"http://opcfoundation.org/UA/", "urn:secret"})
	s.Set(named("metaNamespaceUri"), dataValue(t, "urn:secret"))
	s.Set(named("metaDefaultAccessRestrictions"), dataValue(t, uint16(encryptionRequired)))
	for _, tag := range []string{"taga0", "tagb0"} {
		s.Set(named(tag), dataValue(t, uint32(1)))
	}
	for _, security := range secured[:2] {
		c, err := connect(t, url, security, theirs, client.User{})
		if err != nil {
			t.Fatal(err)
		}
		for tag, open := range map[string]bool{"taga0": false, "tagb0": true} { // tagb0 has its own word: nothing
			want := ua.StatusOK
			if security.Mode == ua.MessageSecurityModeSign && !open {
				want = ua.StatusBadSecurityModeInsufficient
			}
			_ = c.Read(t.Context(), []client.ReadItem{{Node: named(tag), Attribute: ua.AttributeIDValue}}, 0,
				func(_ int, dv rawvalue.DataValue) {
					if dv.Status != want {
						t.Errorf("%v: %s is %v, want %v", security.Mode, tag, dv.Status, want)
					}
				})
		}
	}
}

// A Value that the source lets no user read is refused; without AccessLevel it is served, and
// a bad status of the source stays.
func TestOnlyReadableValuesAreRead(t *testing.T) {
	level := func(access, user byte) []addrspace.Attribute {
		return []addrspace.Attribute{{ID: ua.AttributeIDAccessLevel, Value: dataValue(t, access)},
			{ID: ua.AttributeIDUserAccessLevel, Value: dataValue(t, user)}}
	}
	const current, history = 1, 4
	for name, c := range map[string]struct {
		attributes []addrspace.Attribute
		status     ua.StatusCode // of the source's value
		want       ua.StatusCode
	}{
		"readable":                    {level(current, current), 0, ua.StatusOK},
		"for no user":                 {level(history, history), 0, ua.StatusBadNotReadable},
		"not for the source's client": {level(current, history), 0, ua.StatusBadUserAccessDenied},
		"nothing is said":             {nil, 0, ua.StatusOK},
		"the source has said why": {level(history, history), ua.StatusBadUserAccessDenied,
			ua.StatusBadUserAccessDenied},
		"a level of another type": {[]addrspace.Attribute{{ID: ua.AttributeIDAccessLevel,
			Value: rawvalue.AppendStatus(nil, ua.StatusBadNotReadable, rawvalue.Answer{})}},
			0, ua.StatusOK},
	} {
		t.Run(name, func(t *testing.T) {
			s, url := start(t, nil)
			if _, err := s.cfg.Space.Apply(
				[]addrspace.Change{{Kind: addrspace.SetAttributes,
					Node: addrspace.Node{ID: named("taga0"), Attributes: c.attributes}}}); err != nil {
				t.Fatal(err)
			}
			raw := dataValue(t, uint32(1))
			if c.status != 0 {
				raw = rawvalue.AppendStatus(nil, c.status, rawvalue.Answer{})
			}
			s.Set(named("taga0"), raw)
			conn, token := newSession(t, url)
			resp, _ := ask(t, conn, readRequest(token, value("taga0")))
			if got := resp.(*ua.ReadResponse).Results[0].Status; got != c.want {
				t.Errorf("Read: got %v, want %v", got, c.want)
			}
			if given := s.Shared(&subscription.Client{}, named("taga0")); given != nil && c.want != ua.StatusOK &&
				c.status == 0 {
				t.Errorf("a monitored item is given %x", given)
			}
		})
	}
}

// Clients may read at the moment in which the restrictions are looked for.
func TestUnreadableRestrictionsRestrict(t *testing.T) {
	s, _ := start(t, nil)
	metadata(t, s.cfg.Space)
	s.SetNamespaces([]string{"http://opcfoundation.org/UA/", "urn:secret"})
	s.Set(named("metaNamespaceUri"), dataValue(t, "urn:secret"))
	s.Set(named("metaDefaultAccessRestrictions"), dataValue(t, uint16(encryptionRequired)))
	s.Set(named("taga0"), dataValue(t, uint32(1)))
	for range 50 {
		s.restrictions.Store(nil)
		var readers sync.WaitGroup
		for range 4 {
			readers.Go(func() {
				if given := s.Shared(&subscription.Client{}, named("taga0")); given != nil {
					t.Errorf("a client in the clear is given %x", given)
				}
			})
		}
		readers.Wait()
	}
}

func TestASessionDoesNotMoveToAWeakerChannel(t *testing.T) {
	before := subscription.Client{Signed: true, Encrypted: true}
	for mode, want := range map[ua.MessageSecurityMode]bool{
		ua.MessageSecurityModeSignAndEncrypt: false, ua.MessageSecurityModeSign: true, ua.MessageSecurityModeNone: true,
	} {
		if got := weaker(mode, before); got != want {
			t.Errorf("%v is weaker: %v, want %v", mode, got, want)
		}
	}
}
