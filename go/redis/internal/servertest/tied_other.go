//go:build !linux

package servertest

import (
	"os"
	"os/exec"
)

// runTied starts a command, and closes ended when it has ended.
func runTied(command *exec.Cmd, ended chan<- struct{}) (*os.Process, error) {
	if err := command.Start(); err != nil {
		return nil, err
	}
	go func() {
		_ = command.Wait()
		close(ended)
	}()
	return command.Process, nil
}
