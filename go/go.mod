module github.com/larder-cache/larder/go

go 1.24
