// Package traffic counts and times the requests that the gateway answers.
//
// It is on the path of every cached answer, which takes the rest of the gateway
// about a microsecond, so it is built to cost next to nothing: a request adds
// to a few counters that its processor has nearly to itself (recorder.go), and
// only a sample is timed and told to the access log (meter.go). The sample is
// everything while there is little traffic, and one request in 64 beyond some
// thousand a second; what is sampled counts 64 times, so that percentiles and
// top lists stay right.
package traffic
