package servertest

import (
	"os"
	"os/exec"
	"runtime"
	"syscall"
)

// runTied starts a command that the system kills when this process ends, and closes ended when it
// has ended. The system watches the thread that started it, not the process: so it is one of its
// own, which waits.
func runTied(command *exec.Cmd, ended chan<- struct{}) (*os.Process, error) {
	command.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	started := make(chan error)
	go func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := command.Start()
		started <- err
		if err == nil {
			_ = command.Wait()
			close(ended)
		}
	}()
	err := <-started
	return command.Process, err
}
