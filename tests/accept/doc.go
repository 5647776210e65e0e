// Package accept holds the tests of make accept: the model at work, over all of
// the reference data, which a fresh clone does not have, and at the size of the
// published one. Each test prints rows of docs/accept.md:
//
//	accept: | what | wanted | measured | yes |
package accept
