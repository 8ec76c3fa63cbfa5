//go:build race

package rueidisx

// raceDetector: the race detector is on.
const raceDetector = true
