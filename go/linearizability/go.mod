module github.com/larder-cache/larder/go/linearizability

go 1.24

require (
	github.com/anishathalye/porcupine v1.3.1
	github.com/larder-cache/larder/go v0.1.0
)

replace github.com/larder-cache/larder/go => ../
