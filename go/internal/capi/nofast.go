//go:build !linux || !amd64 || larder_nofast || msan || asan || race

package capi

// FastDoor is false: the race detector, for one, learns from calls through cgo what comes
// before what, and nothing from the fast path.
const FastDoor = false

func (a *Call) FastGet() Status { return StatusBusy }

func (a *Call) FastSet() Status { return StatusBusy }

func (a *Call) FastDelete() Status { return StatusBusy }

func (m *ManyCall) FastGet() Status { return StatusBusy }

func (m *ManyCall) FastSet() Status { return StatusBusy }

func (m *ManyCall) FastDelete() Status { return StatusBusy }

const StatusNoRoom Status = -1

func (a *Call) DeepGet() Status { return StatusBusy }

func (a *Call) DeepSet() Status { return StatusBusy }

func (a *Call) DeepDelete() Status { return StatusBusy }

func (m *ManyCall) DeepGet() Status { return StatusBusy }

func (m *ManyCall) DeepSet() Status { return StatusBusy }

func (m *ManyCall) DeepDelete() Status { return StatusBusy }
