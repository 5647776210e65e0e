package passes

import (
	"testing"

	"mnnconv/graph"
)

func TestJoinedSoftmax(t *testing.T) {
	const x = `input %x: float32[n, 2, m] `
	check(t, joinedSoftmax, []rewriting{
		{name: "the default", text: x + `%y = Softmax-11(%x) output %y`, want: "Flatten Softmax Shape Reshape"},
		{name: "all extents", text: x + `%y = LogSoftmax-1(%x) {axis = 0} output %y`, want: "Flatten LogSoftmax Shape Reshape"},
		{name: "from behind", text: x + `%y = Hardmax-11(%x) {axis = -2} output %y`, want: "Flatten Hardmax Shape Reshape"},
		{name: "none", text: x + `%y = Softmax-11(%x) {axis = 3} output %y`, want: "Flatten Softmax Shape Reshape"},
		{name: "no elements", text: x + `%y = Softmax-11(%x) output %y`, want: "Flatten Softmax Shape Reshape", env: graph.Env{"n": 0}},

		{name: "the last", text: x + `%y = Softmax-11(%x) {axis = 2} output %y`},
		{name: "the last from behind", text: x + `%y = Softmax-11(%x) {axis = -1} output %y`},
		{name: "one of many", text: x + `%y = Softmax-13(%x) {axis = 1} output %y`},
	})
}
