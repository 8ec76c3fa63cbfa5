package capi

// Archive is the SHA-256 of the library that is linked. It is part of what is compiled: go
// links a program anew when only the library has changed.
const Archive = archive
