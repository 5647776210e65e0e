package tokenizer

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
)

// Names of a tokenizer's files.
const (
	JSONName = "tokenizer.json"
	mtokName = "tokenizer.mtok"
	// TablesName is what a package calls the tables of its tokenizer.json, see [Tables].
	TablesName = "tokenizer.tables"
)

// tablesHead is what a file of tables begins with. The settings follow, XX vocabulary and merges have them.
type tablesHead struct {
	Magic     [16]byte
	Source    [sha256.Size]byte // of the tokenizer.json
	Version   uint32
	Settings  uint32 // bytes of the tokenizer.json as it is without vocabulary and merges
	Spellings uint32 // bytes
	Size      uint32 // ids are below
	Tokens    uint32
	Rules     uint32
}

const tablesVersion = 1

var tablesMagic = [16]byte([]byte("mnnconv.tokens\r\n"))

// Tables returns the tokenizer.json at path in the form that it has in memory, which
// [Load] takes in the place of that file if it lies beside it as [TablesName]. Ids and
// texts are the same; loading takes a twentieth of the time.
func Tables(path string) ([]byte, error) {
	data, err := readFile(path)
	if err != nil {
		return nil, err
	}
	t, f, err := readJSON(data)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	f.Model.Vocab, f.Model.Merges = nil, nil
	settings, err := json.Marshal(f)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	var out bytes.Buffer
	head := tablesHead{tablesMagic, sha256.Sum256(data), tablesVersion, uint32(len(settings)), uint32(len(t.spellings)),
		uint32(t.Size()), uint32(t.sorted.len()), uint32(t.bpe.merges.rights.len())}
	if err := binary.Write(&out, binary.LittleEndian, head); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	for _, part := range [][]byte{settings, []byte(t.spellings), t.starts, t.sorted, t.bpe.merges.firsts, t.bpe.merges.rights, t.bpe.merges.results} {
		out.Write(part)
	}
	return out.Bytes(), nil
}

// loadTables reads the tables of a folder. It returns nil where they are of another version,
// or not of the tokenizer.json beside them, whose SHA-256 is sum.
func loadTables(dir, sum string) (*Tokenizer, error) {
	path := filepath.Join(dir, TablesName)
	data, err := readFile(path)
	if err != nil {
		return nil, err
	}
	t, source, err := parseTables(data)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	if sum == "" {
		sum, err = hashFile(filepath.Join(dir, JSONName))
	}
	if err != nil || sum != source {
		return nil, err
	}
	return t, nil
}

// hashFile returns the SHA-256 of a file in hexadecimal.
func hashFile(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	hash := sha256.New()
	if _, err := io.Copy(hash, f); err != nil {
		return "", err
	}
	return hex.EncodeToString(hash.Sum(nil)), nil
}

// parseTables reads a file of tables, and returns the SHA-256 of what they were made
// from. The tokenizer is nil if they are of another version. It goes on using data.
func parseTables(data []byte) (*Tokenizer, string, error) {
	var head tablesHead
	n, err := binary.Decode(data, binary.LittleEndian, &head)
	if err != nil || head.Magic != tablesMagic {
		return nil, "", malformed("%d bytes: want the head of a tokenizer's tables", len(data))
	}
	if head.Version != tablesVersion {
		return nil, "", nil
	}
	size, rules := int64(head.Size), int64(head.Rules)
	lengths := []int64{int64(head.Settings), int64(head.Spellings), 4 * (size + 1), 4 * int64(head.Tokens), 4 * (size + 1), 4 * rules, 8 * rules}
	parts, rest := make([][]byte, len(lengths)), data[n:]
	for i, length := range lengths {
		if length > int64(len(rest)) {
			return nil, "", malformed("%d bytes: too few for %d ids, %d tokens and %d rules", len(data), size, head.Tokens, rules)
		}
		parts[i], rest = rest[:length], rest[length:]
	}
	if len(rest) > 0 || size > maxID {
		return nil, "", malformed("%d ids, and %d bytes more than their tables have", size, len(rest))
	}
	f, err := parseSettings(parts[0])
	if err != nil {
		return nil, "", err
	}
	t, added, err := f.begin()
	if err != nil {
		return nil, "", err
	}
	t.vocabulary = vocabulary{spellings: string(parts[1]), starts: parts[2], sorted: parts[3]}
	if err := t.check(added); err != nil {
		return nil, "", err
	}
	t.mark(added)
	if err := f.finish(t, added); err != nil {
		return nil, "", err
	}
	t.bpe.merges = merges{parts[4], parts[5], parts[6]}
	return t, hex.EncodeToString(head.Source[:]), t.bpe.merges.check(&t.vocabulary)
}

// check finds what would lead out of the tables.
func (v *vocabulary) check(added []addedToken) error {
	if !v.starts.ascends(len(v.spellings)) {
		return malformed("spellings: want ascending places in %d bytes", len(v.spellings))
	}
	for i := range v.sorted.len() {
		if id := v.sorted.at(i); !v.has(id) {
			return malformed("spellings: %d in the order of them is no token", uint32(id))
		}
	}
	for i, a := range added {
		if a.id < 0 || a.id >= int64(v.Size()) || v.token(int32(a.id)) != a.content {
			return malformed("added_tokens[%d] %.60q is not the token %d", i, a.content, a.id)
		}
	}
	return nil
}

// check finds what would lead out of the tables, or merge to a special token.
func (m *merges) check(v *vocabulary) error {
	n := m.rights.len()
	if !m.firsts.ascends(n) {
		return malformed("merges: want ascending places of %d", n)
	}
	for i := range n {
		rank, merged := m.results.at(2*i), m.results.at(2*i+1)
		if rank < 0 || rank == never || !v.has(merged) || v.special[merged] {
			return malformed("merge %d of %d: id %d, rank %d: want the id of a token that is not special", i, n, uint32(merged), uint32(rank))
		}
	}
	return nil
}
