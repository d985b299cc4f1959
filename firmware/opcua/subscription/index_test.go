package subscription

import "testing"

func TestIndexKeepsTheItemsThatAreNotDeleted(t *testing.T) {
	var x index
	kept, deleted, other := &item{node: tag(1)}, &item{node: tag(1)}, &item{node: tag(2)}
	for _, it := range []*item{kept, deleted, other} {
		x.add(it)
	}
	before := x.items(tag(1))
	deleted.deleted = true
	x.removeDeleted(tag(1))
	if got := x.items(tag(1)); len(got) != 1 || got[0] != kept {
		t.Errorf("got %d items, want the one that is not deleted", len(got))
	}
	if len(before) != 2 || before[0] != kept || before[1] != deleted {
		t.Error("a list that was returned has changed")
	}
	other.deleted = true
	if x.removeDeleted(tag(2)); len(x.m) != 1 || x.items(tag(2)) != nil {
		t.Errorf("%d nodes are indexed, want 1", len(x.m))
	}
}
