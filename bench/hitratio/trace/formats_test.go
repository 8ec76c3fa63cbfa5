package trace

import (
	"bytes"
	"encoding/binary"
	"math"
	"slices"
	"strings"
	"testing"
)

type want struct{ keys, sizes, times, ttls []uint32 }

func check(t *testing.T, name string, got *Trace, err error, w want) {
	t.Helper()
	if err != nil {
		t.Errorf("%s: %v", name, err)
		return
	}
	for _, c := range []struct {
		of        string
		got, want []uint32
	}{{"keys", got.Keys, w.keys}, {"sizes", got.Sizes, w.sizes}, {"times", got.Times, w.times}, {"TTLs", got.TTLs, w.ttls}} {
		if !slices.Equal(c.got, c.want) {
			t.Errorf("%s: %s %v, want %v", name, c.of, c.got, c.want)
		}
	}
}

func TestTwitter(t *testing.T) {
	const in = "100,aa,2,10,1,get,60\n101,bb,2,20,1,set,60\n103,bb,2,20,1,gets,0\n103,aa,2,11,2,delete,0\n104,aa,2,11,2,get,5\n"
	got, err := Read(strings.NewReader(in), ".twitter")
	check(t, "twitter", got, err, want{
		[]uint32{0, 1, 0}, []uint32{12, 22, 13}, []uint32{0, 3, 4}, []uint32{60, 0, 5},
	})
}

func TestCSVByItsHeader(t *testing.T) {
	for name, in := range map[string]string{
		"key-value": "key,op,size,op_count,key_size\nk1,GET,100,2,4\nk2,SET,50,1,4\nk2,GET,50,1,4\n",
		"newer":     "op_time,key,key_size,op,op_count,size,cache_hits,ttl\n7,k1,4,GET,2,100,1,0\n8,k2,4,GET,1,50,0,30\n",
		"cdn":       "timestamp,cacheKey,OpType,objectSize,responseSize,TTL\n7,k1,GET,100,1,60\n7,k1,READ,100,1,60\n9,k2,GET,50,1,60\n",
	} {
		got, err := Read(strings.NewReader(in), ".csv")
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if !slices.Equal(got.Keys, []uint32{0, 0, 1}) || !slices.Equal(got.Sizes, []uint32{100, 100, 50}) {
			t.Errorf("%s: keys %v sizes %v", name, got.Keys, got.Sizes)
		}
	}
}

func TestCSVByColumns(t *testing.T) {
	for _, c := range []struct{ columns, in string }{
		{"time-col=1,obj-id-col=2,obj-size-col=3", "1,a,10\n2,b,20\n4,a,10\n"},
		{"key=3,size=1,time=2,delimiter=;", "10;1;a\n20;2;b\n10;4;a\n"},
		{"time=1,key=2,size=3,header", "when\tid\tbytes\n1\ta\t10\n2\tb\t20\n4\ta\t10\n"},
	} {
		columns, err := ParseColumns(c.columns)
		if err != nil {
			t.Errorf("%s: %v", c.columns, err)
			continue
		}
		got, err := ReadWith(strings.NewReader(c.in), Options{Format: ".csv", Columns: columns})
		check(t, c.columns, got, err, want{[]uint32{0, 1, 0}, []uint32{10, 20, 10}, []uint32{0, 1, 3}, nil})
	}
	for _, bad := range []string{"", "size=1", "key=0", "key=x", "key=1,what=2", "key=1,delimiter=ab"} {
		if _, err := ParseColumns(bad); err == nil {
			t.Errorf("columns %q were taken", bad)
		}
	}
}

func oracle(t *testing.T, records [][4]int64) []byte {
	t.Helper()
	var b bytes.Buffer
	for _, r := range records {
		for _, v := range []any{uint32(r[0]), uint64(r[1]), uint32(r[2]), r[3]} {
			if err := binary.Write(&b, binary.LittleEndian, v); err != nil {
				t.Fatal(err)
			}
		}
	}
	return b.Bytes()
}

func TestOracleGeneral(t *testing.T) {
	in := oracle(t, [][4]int64{{50, 9, 100, 3}, {51, 8, 200, -1}, {60, 9, 100, math.MaxInt64}})
	got, err := Read(bytes.NewReader(in), ".oracleGeneral")
	check(t, "oracleGeneral", got, err, want{[]uint32{0, 1, 0}, []uint32{100, 200, 100}, []uint32{0, 1, 10}, nil})

	for name, records := range map[string][][4]int64{
		"too soon": {{50, 9, 100, 4}, {51, 9, 1, 4}},
		"never":    {{50, 9, 100, -1}, {51, 9, 1, -1}},
	} {
		if _, err := Read(bytes.NewReader(oracle(t, records)), ".oracleGeneral"); err == nil {
			t.Errorf("%s: taken, though the future is not as it says", name)
		}
	}
}

func TestVSCSI(t *testing.T) {
	write := func(fields ...any) []byte {
		var b bytes.Buffer
		for _, f := range fields {
			if err := binary.Write(&b, binary.LittleEndian, f); err != nil {
				t.Fatal(err)
			}
		}
		return b.Bytes()
	}
	var one, two []byte
	for i, block := range []uint64{7, 8, 7, 7} {
		length, time := uint32(512*(i+1)), uint64(5_000_000+1_000_000*i)
		one = append(one, write(uint32(i), length, uint32(1), uint16(0x28), uint16(0x100), block, time)...)
		two = append(two, write(uint16(0x28), uint16(0x200), uint32(i), length, uint32(1), block, time, uint64(9))...)
	}
	for name, in := range map[string][]byte{"version 1": one, "version 2": two} {
		got, err := Read(bytes.NewReader(in), ".vscsi")
		check(t, name, got, err, want{
			[]uint32{0, 1, 0, 0}, []uint32{512, 1024, 1536, 2048}, []uint32{0, 1, 2, 3}, nil,
		})
	}
}
