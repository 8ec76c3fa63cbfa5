// Package measure reads what a process has used: CPU time, resident memory, garbage collection.
package measure

import (
	"bufio"
	"fmt"
	"os"
	"runtime"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// CPU is the user and system time of this process, all its threads together.
func CPU() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		panic(err) // can't fail for the calling process
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// rusageThread is RUSAGE_THREAD of Linux, which package syscall doesn't name.
const rusageThread = 1

// Preemptions is how often the kernel took the CPU from the calling thread while it had work to do.
func Preemptions() int64 {
	var u syscall.Rusage
	if err := syscall.Getrusage(rusageThread, &u); err != nil {
		panic(err)
	}
	return u.Nivcsw
}

// Memory is the resident memory of a process, in bytes.
type Memory struct {
	Now, Peak int64
}

// ResidentMemory reads it from the kernel.
func ResidentMemory() (Memory, error) {
	f, err := os.Open("/proc/self/status")
	if err != nil {
		return Memory{}, err
	}
	defer f.Close()
	var m Memory
	for s := bufio.NewScanner(f); s.Scan(); {
		name, rest, _ := strings.Cut(s.Text(), ":")
		var dst *int64
		switch name {
		case "VmRSS":
			dst = &m.Now
		case "VmHWM":
			dst = &m.Peak
		default:
			continue
		}
		kb, err := strconv.ParseInt(strings.Fields(rest)[0], 10, 64)
		if err != nil {
			return Memory{}, fmt.Errorf("reading /proc/self/status: %w", err)
		}
		*dst = kb << 10
	}
	if m.Now == 0 {
		return m, fmt.Errorf("no VmRSS in /proc/self/status")
	}
	return m, nil
}

// SettledMemory is ResidentMemory after the garbage was collected and given back to the system.
func SettledMemory() (Memory, error) {
	runtime.GC()
	debug.FreeOSMemory()
	return ResidentMemory()
}

// ResetPeak makes the peak of the resident memory start again from what it is now. Not all kernels allow it.
func ResetPeak() error { return os.WriteFile("/proc/self/clear_refs", []byte("5"), 0) }

// Median of the values, which it sorts. 0 if there are none.
func Median(v []float64) float64 {
	if len(v) == 0 {
		return 0
	}
	slices.Sort(v)
	m := len(v) / 2
	if len(v)%2 == 1 {
		return v[m]
	}
	return (v[m-1] + v[m]) / 2
}
