package larder

import (
	"fmt"
	"math"
	"os"
	"path"
	"path/filepath"
	"runtime/debug"
	"strconv"
	"strings"
)

// MemoryLimit returns how many bytes of memory this process may have: the least of what its
// control groups allow (version 1 or 2, and the groups they are in), and of what the machine has.
// 0 if that can't be found out, as on systems other than Linux. It reads some files each time.
func MemoryLimit() int64 { return int64(min(memoryLimit("/"), math.MaxInt64)) }

// Share returns so much of [MemoryLimit], for Options.MaxBytes: Share(0.25) is a quarter of a
// container's memory. It is 0, which New refuses, where there is no telling. It panics if fraction
// isn't above 0 and at most 1.
func Share(fraction float64) int64 {
	if !(fraction > 0 && fraction <= 1) {
		panic(fmt.Sprintf("larder: a share of %v of the memory: it is above 0 and at most 1", fraction))
	}
	return int64(fraction * float64(MemoryLimit()))
}

// SetMemoryLimit tells Go's runtime how much of [MemoryLimit] it may take: what caches with budgets
// of caches bytes together leave, less a tenth of all. The runtime doesn't know of their memory,
// and would else grow its heap as if there were none. A limit that has been set already, by
// GOMEMLIMIT or [debug.SetMemoryLimit], stays, and nothing is set where MemoryLimit is 0 or the
// caches leave nothing. It returns the limit in force, as debug.SetMemoryLimit does.
func SetMemoryLimit(caches int64) int64 {
	return setMemoryLimit(MemoryLimit(), caches)
}

func setMemoryLimit(all, caches int64) int64 {
	inForce := debug.SetMemoryLimit(-1)
	if left := all - all/10 - max(caches, 0); inForce == math.MaxInt64 && left > 0 {
		inForce = left
		debug.SetMemoryLimit(inForce)
	}
	return inForce
}

// memoryLimit is MemoryLimit of a system whose files are below root.
func memoryLimit(root string) uint64 {
	limit := machineMemory(root)
	groups, _ := os.ReadFile(filepath.Join(root, "proc/self/cgroup"))
	for line := range strings.Lines(string(groups)) {
		// hierarchy:controllers:path, by cgroups(7)
		parts := strings.SplitN(strings.TrimSuffix(line, "\n"), ":", 3)
		if len(parts) != 3 {
			continue
		}
		mount, file := "", ""
		switch {
		case parts[0] == "0" && parts[1] == "":
			mount, file = "sys/fs/cgroup", "memory.max"
		case strings.Contains(","+parts[1]+",", ",memory,"):
			mount, file = "sys/fs/cgroup/memory", "memory.limit_in_bytes"
		default:
			continue
		}
		limit = least(limit, groupLimit(filepath.Join(root, mount), parts[2], file))
	}
	return limit
}

// groupLimit is the least limit of a group and those it is in. In a container the path may be that
// outside, of which there is nothing here but the root, which is then the container's own.
func groupLimit(mount, group, file string) uint64 {
	limit := uint64(0)
	for group = path.Clean("/" + group); ; group = path.Dir(group) {
		content, err := os.ReadFile(filepath.Join(mount, group, file))
		if err == nil {
			// No number, but "max", where there is no limit.
			n, _ := strconv.ParseUint(strings.TrimSpace(string(content)), 10, 64)
			limit = least(limit, n)
		}
		if group == "/" {
			return limit
		}
	}
}

// machineMemory is what the machine has.
func machineMemory(root string) uint64 {
	content, _ := os.ReadFile(filepath.Join(root, "proc/meminfo"))
	for line := range strings.Lines(string(content)) {
		if fields := strings.Fields(line); len(fields) == 3 && fields[0] == "MemTotal:" {
			kib, _ := strconv.ParseUint(fields[1], 10, 64)
			return kib << 10
		}
	}
	return 0
}

// least is the lesser limit, of which 0 is none.
func least(a, b uint64) uint64 {
	if a == 0 || b != 0 && b < a {
		return b
	}
	return a
}
