package report

import (
	"strings"
	"testing"
)

func TestTable(t *testing.T) {
	table := Table{Header: []string{"cache", "ns"}}
	table.Add("a µ name", 12345)
	table.Add("b", "-")
	var b strings.Builder
	table.Print(&b)
	want := "| cache    |    ns |\n| -------- | ----: |\n| a µ name | 12345 |\n| b        |     - |\n"
	if b.String() != want {
		t.Errorf("got\n%swant\n%s", b.String(), want)
	}
}
