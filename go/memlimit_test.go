package larder

import (
	"math"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"testing"
)

// A system's files, by their paths.
type files map[string]string

func (f files) write(t *testing.T) string {
	root := t.TempDir()
	for name, content := range f {
		at := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(at), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(at, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return root
}

func TestMemoryLimit(t *testing.T) {
	const machine = "MemTotal:        8388608 kB\nMemFree:          1024 kB\n"
	for _, c := range []struct {
		name string
		files
		want uint64
	}{
		{"nothing is known", files{}, 0},
		{"no groups", files{"proc/meminfo": machine}, 8 << 30},
		{"version 2", files{"proc/meminfo": machine, "proc/self/cgroup": "0::/\n",
			"sys/fs/cgroup/memory.max": "536870912\n"}, 512 << 20},
		{"version 2, no limit", files{"proc/meminfo": machine, "proc/self/cgroup": "0::/app\n",
			"sys/fs/cgroup/app/memory.max": "max\n"}, 8 << 30},
		{"version 2, the group around it has less", files{"proc/meminfo": machine,
			"proc/self/cgroup":             "0::/a/b/c\n",
			"sys/fs/cgroup/a/b/memory.max": "1000000000\n", "sys/fs/cgroup/a/memory.max": "2000000000\n",
			"sys/fs/cgroup/a/b/c/memory.max": "max\n"}, 1000000000},
		{"version 1", files{"proc/meminfo": machine,
			"proc/self/cgroup":                               "5:cpu,cpuacct:/app\n4:memory:/app\n",
			"sys/fs/cgroup/memory/memory.limit_in_bytes":     "9223372036854771712\n",
			"sys/fs/cgroup/memory/app/memory.limit_in_bytes": "268435456\n"}, 256 << 20},
		{"version 1, the path is that outside the container", files{"proc/meminfo": machine,
			"proc/self/cgroup":                           "4:memory:/docker/0123\n0::/docker/0123\n",
			"sys/fs/cgroup/memory/memory.limit_in_bytes": "268435456\n"}, 256 << 20},
		{"more than there is", files{"proc/meminfo": machine, "proc/self/cgroup": "0::/\n",
			"sys/fs/cgroup/memory.max": "99999999999999\n"}, 8 << 30},
	} {
		if got := memoryLimit(c.files.write(t)); got != c.want {
			t.Errorf("%s: %d, not %d", c.name, got, c.want)
		}
	}
}

func TestShare(t *testing.T) {
	if all := MemoryLimit(); runtime.GOOS == "linux" && all == 0 {
		t.Error("nothing is known of this machine's memory")
	} else if half := Share(0.5); half > all/2+1 {
		t.Errorf("half of %d is %d", all, half)
	}
	for _, fraction := range []float64{0, -1, 1.01, math.NaN()} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("a share of %v is one", fraction)
				}
			}()
			Share(fraction)
		}()
	}
}

func TestSetMemoryLimit(t *testing.T) {
	before := debug.SetMemoryLimit(math.MaxInt64)
	defer debug.SetMemoryLimit(before)
	for _, c := range []struct {
		all, caches int64
		want        int64
	}{
		{0, 1 << 20, math.MaxInt64},
		{1000 << 20, 900 << 20, math.MaxInt64},
		{1000 << 20, math.MaxInt64, math.MaxInt64},
		{1000 << 20, 400 << 20, 500 << 20},
		{1000 << 20, 100 << 20, 500 << 20}, // set already
	} {
		if got := setMemoryLimit(c.all, c.caches); got != c.want || debug.SetMemoryLimit(-1) != c.want {
			t.Errorf("%+v: %d", c, got)
		}
	}
}
