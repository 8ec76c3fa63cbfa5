module github.com/larder-cache/larder/examples/http

go 1.24

require github.com/larder-cache/larder/go v0.0.0-00010101000000-000000000000

replace github.com/larder-cache/larder/go => ../../go
