package client

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// The package must not be able to change anything at a plant's server. What it could
// ask for shows in its source: the encodings of requests, and the library's types.
func TestNoRequestChangesTheServer(t *testing.T) {
	allowed := strings.Fields("GetEndpoints CreateSession ActivateSession CloseSession Read Browse BrowseNext" +
		" CreateSubscription DeleteSubscriptions CreateMonitoredItems DeleteMonitoredItems Publish " +
		"Republish Call HistoryRead")
	request := regexp.MustCompile(`(?:id|ua)\.(\w+?)Request\b|id\.(\w+?)Request_`)
	method := regexp.MustCompile(`id\.(\w*(?:Method|ConditionType_)\w*)`)
	files, err := os.ReadDir(".")
	if err != nil {
		t.Fatal(err)
	}
	var calls, methods int
	seen := map[string]bool{}
	for _, f := range files {
		if !strings.HasSuffix(f.Name(), ".go") || strings.HasSuffix(f.Name(), "_test.go") {
			continue
		}
		text, err := os.ReadFile(f.Name())
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range request.FindAllStringSubmatch(string(text), -1) {
			name := m[1] + m[2]
			if seen[name] = true; !slices.Contains(allowed, name) {
				t.Errorf("%s: got a %sRequest, want none", f.Name(), name)
			}
			if name == "Call" {
				calls++
			}
		}
		for _, m := range method.FindAllStringSubmatch(string(text), -1) {
			if methods++; m[1] != "ConditionType_ConditionRefresh" {
				t.Errorf("%s: got the method %s, want ConditionRefresh alone", f.Name(), m[1])
			}
		}
	}
	delete(seen, "")
	if calls != 1 || methods != 1 || len(seen) != len(allowed) {
		t.Errorf("got %d Calls, %d methods and %d kinds of requests; want 1, 1 and %d", calls, methods,
			len(seen), len(allowed))
	}
}
