// Package everywhere holds the tests that make arm64 runs beside those of single
// packages: what must come out the same on every processor. It needs no device and no
// library of the system.
package everywhere
