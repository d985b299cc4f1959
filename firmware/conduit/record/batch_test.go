package record

import (
	"fmt"
	"testing"
)

func goldenBatch() []byte {
	const at = 1_700_000_000_000_000_000
	b, run := AppendBatch(nil, 7, 1000), Run{}
	b = run.AppendChange(b, 12, at, []byte("v1"))
	b = run.AppendChange(b, 13, at, []byte("v2"))
	b = run.AppendChange(b, 400, at+1_000_000, []byte("fifteen letters"))
	b = run.AppendChange(b, 400, 0, nil)
	return run.AppendChange(b, 1, at-1, []byte("v5"))
}

func TestMalformedBatchesAreRefused(t *testing.T) {
	for name, body := range map[string][]byte{
		"no change":                   {0, 7, 9},
		"number 0":                    {0, 7, 0, 0x41, 16, 5},
		"created at 0":                {0, 7, 9, 0x40, 0},
		"created with its own number": {0, 7, 9, 0x40, 18},
		"a step of one written out":   {0, 7, 9, 0x40, 8, 0x40, 2},
		"coarse without a step":       {0, 7, 9, 0xC0, 8},
		"same time without one":       {0, 7, 9, 0x50, 8},
		"a millisecond in ticks":      {0, 7, 9, 0x70, 8, 0, 0, 0, 0, 0, 0, 0, 100, 0x20, 0xa0, 0x9c, 0x01},
		"payload beyond the body":     {0, 7, 9, 0x45, 8, 1},
		"long payload cut":            {0, 7, 9, 0x4F, 8},
		"a change before the first":   {0, 7, 9, 0x40, 8, 0x40, 7},
	} {
		var b Batch
		err := b.Parse(body)
		if err == nil {
			err = b.Changes(func(*Entry) {})
		}
		if err != ErrMalformed {
			t.Errorf("%s: got %v, want %v", name, err, ErrMalformed)
		}
	}
}

func TestBatchRoundTrip(t *testing.T) {
	var b Batch
	if err := b.Parse(goldenBatch()); err != nil || b.Channel != 7 {
		t.Fatalf("got %+v, %v", b, err)
	}
	got := ""
	if err := b.Changes(func(e *Entry) {
		got += fmt.Sprintln(e.Seq, e.Created, e.Time,
			string(e.Payload))
	}); err != nil {
		t.Fatal(err)
	}
	want := "1000 12 1700000000000000000 v1\n1001 13 1700000000000000000 v2\n" +
		"1002 400 1700000000001000000 fifteen letters\n1003 400 0 \n1004 1 1699999999999999999 v5\n"
	if got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
}
