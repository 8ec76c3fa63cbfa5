//go:build !linux || !amd64 || larder_nofast || msan || asan

package larder

const fastDoor = false

func (a *call) fastGet() status { return statusBusy }

func (a *call) fastSet() status { return statusBusy }

func (a *call) fastDelete() status { return statusBusy }

func (m *manyCall) fastGet() status { return statusBusy }

func (m *manyCall) fastSet() status { return statusBusy }

func (m *manyCall) fastDelete() status { return statusBusy }

const statusNoRoom status = -1

func (a *call) deepGet() status { return statusBusy }

func (a *call) deepSet() status { return statusBusy }

func (a *call) deepDelete() status { return statusBusy }

func (m *manyCall) deepGet() status { return statusBusy }

func (m *manyCall) deepSet() status { return statusBusy }

func (m *manyCall) deepDelete() status { return statusBusy }
