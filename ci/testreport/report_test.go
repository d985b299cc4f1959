package main

import (
	"reflect"
	"strings"
	"testing"
)

const results = `{"Action":"start","Package":"heliograph/a"}
{"Action":"output","Package":"heliograph/a","Output":"-test.shuffle 17\n"}
{"Action":"output","Package":"heliograph/a","Test":"TestGood","Output":"=== RUN   TestGood\n"}
{"Action":"output","Package":"heliograph/a","Test":"TestGood","Output":"    chatter\n"}
{"Action":"pass","Package":"heliograph/a","Test":"TestGood/slow","Elapsed":99}
{"Action":"pass","Package":"heliograph/a","Test":"TestGood","Elapsed":99.5}
{"Action":"output","Package":"heliograph/a","Test":"TestPeer","Output":"=== RUN   TestPeer\n"}
{"Action":"output","Package":"heliograph/a","Test":"TestPeer","Output":"    a_test.go:7: not proved: the peer, because it is away\n"}
{"Action":"output","Package":"heliograph/a","Test":"TestPeer","Output":"--- SKIP: TestPeer (0.00s)\n"}
{"Action":"skip","Package":"heliograph/a","Test":"TestPeer"}
{"Action":"output","Package":"heliograph/a","Test":"TestMute","Output":"--- SKIP: TestMute (0.00s)\n"}
{"Action":"skip","Package":"heliograph/a","Test":"TestMute"}
{"Action":"output","Package":"heliograph/a","Test":"TestBad","Output":"    a.go:9: bad\n"}
{"Action":"fail","Package":"heliograph/a","Test":"TestBad"}
{"Action":"output","Package":"heliograph/a","Test":"TestCrash","Output":"panic: oh\n"}
{"Action":"output","Package":"heliograph/a","Output":"FAIL\theliograph/a\t0.1s\n"}
{"Action":"fail","Package":"heliograph/a"}
{"Action":"output","Package":"heliograph/b","Output":"PASS\n"}
{"Action":"output","Package":"heliograph/b","Output":"ok  \theliograph/b\t0.1s\n"}
{"Action":"pass","Package":"heliograph/b"}
{"Action":"skip","Package":"heliograph/c"}
{"ImportPath":"heliograph/d","Action":"build-output","Output":"d.go:1: broken\n"}
not an event
`

func TestFollow(t *testing.T) {
	var out strings.Builder
	var o outcome
	if err := follow(strings.NewReader(results), &out, &o); err != nil {
		t.Fatal(err)
	}
	want := "    a.go:9: bad\nFAIL\theliograph/a\t0.1s\npanic: oh\nok  \theliograph/b\t0.1s\nd.go:1: broken\nnot " +
		"an event\n"
	if got := out.String(); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	wantSkips := []skip{{"a TestPeer", "not proved: the peer, because it is away"},
		{"a TestMute", "not proved: the test does not say what ()"}}
	if !reflect.DeepEqual(o.skips, wantSkips) {
		t.Errorf("got %q, want %q", o.skips, wantSkips)
	}
	if want := []timed{{"a TestGood", 99.5}}; !reflect.DeepEqual(o.times, want) {
		t.Errorf("got %v, want %v", o.times, want)
	}
	if want := []failure{{"a TestBad", "a.go:9: bad"}}; !reflect.DeepEqual(o.failures, want) {
		t.Errorf("got %q, want %q", o.failures, want)
	}
}

func TestSummarize(t *testing.T) {
	one := []skip{{"a TestPeer", "not proved: x"}}
	cases := map[string]struct {
		skips    []skip
		failures []failure
		code     int
		strict   bool
		want     int
		text     string
	}{
		"clean": {nil, nil, 0, true, 0, ""},
		"skip":  {one, nil, 0, false, 0, "SKIP a TestPeer: not proved: x\n"},
		"skip in CI": {one, nil, 0, true, 1, "SKIP a TestPeer: not proved: x\nFAIL: 1 skipped, and with CI=true " +
			"a skip is a failure\n"},
		"failure stays": {one, nil, 2, true, 2, "FAIL: 1 skipped"},
		"failure, no skips": {nil, []failure{{"a TestBad", "a.go:9: bad"}}, 1, false, 1,
			"FAIL a TestBad: a.go:9: bad\n"},
		"failure with skips": {one, nil, 1, false, 1, "SKIP"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			var out strings.Builder
			if got := summarize(&out, outcome{skips: c.skips, failures: c.failures}, c.code, c.strict); got != c.want ||
				!strings.Contains(out.String(), c.text) {
				t.Errorf("got %d, %q; want %d, %q", got, out.String(), c.want, c.text)
			}
		})
	}
}

func TestTargets(t *testing.T) {
	list := "FuzzA\nFuzzB\nok  \theliograph/a\t0.1s\n?   \theliograph/b\t[no test files]\nok  " +
		"\theliograph/c\t0.1s\nFuzzC\nok  \theliograph/d\t0.1s\n"
	want := []testID{{"heliograph/a", "FuzzA"}, {"heliograph/a", "FuzzB"}, {"heliograph/d", "FuzzC"}}
	if got := targets(list); !reflect.DeepEqual(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}
