package generate

// Lookup drafts the n tokens that may follow history: those that followed when its
// last three tokens, or else its last two, were there before, the latest time; a
// draft that reaches the end of history goes on with itself. It appends them to
// dst. Without such a place it appends nothing.
//
// This is prompt lookup decoding (Saxena 2023), which transformers calls
// prompt_lookup_num_tokens: answers that quote their question, or repeat
// themselves, are read off instead of being generated one by one.
func Lookup(dst, history []int32, n int) []int32 {
	end := len(history)
	if end < 3 || n < 1 {
		return dst
	}
	from := -1
	for at := end - 2; at >= 1; at-- {
		if history[at] != history[end-1] || history[at-1] != history[end-2] {
			continue
		}
		if from < 0 {
			from = at + 1
		}
		if at >= 2 && history[at-2] == history[end-3] {
			from = at + 1
			break
		}
	}
	if from < 0 {
		return dst
	}
	start := len(dst)
	for i := range n {
		if from+i < end {
			dst = append(dst, history[from+i])
		} else {
			dst = append(dst, dst[start+from+i-end])
		}
	}
	return dst
}
