package capi

import "testing"

func TestHalvesThatDiffer(t *testing.T) {
	ours := halves{"1.2.3", 4, 0xabc}
	if why := ours.mismatch(ours); why != "" {
		t.Error(why)
	}
	const want = "larder: liblarder.a is of version 1.2.3, ABI 4, layout 0000000000000def; the Go package, " +
		"of version 1.2.3, ABI 4, layout 0000000000000abc, can't work with it: run make lib"
	if why := ours.mismatch(halves{"1.2.3", 4, 0xdef}); why != want {
		t.Errorf("%s\nwant %s", why, want)
	}
	for _, other := range []halves{{"1.2.4", 4, 0xabc}, {"1.2.3", 5, 0xabc}} {
		if ours.mismatch(other) == "" {
			t.Errorf("%v fits %v", other, ours)
		}
	}
}
