package quantize

// reportVersion is the version of quantize.json's form.
const reportVersion = 1

// Report says what was stored how, and at what error. Errors are known once the
// weights are written.
type Report struct {
	SchemaVersion int     `json:"schema_version"`
	Spec          string  `json:"spec"`
	Budget        string  `json:"budget,omitempty"`
	BytesBefore   int64   `json:"bytes_before"` // of all weights
	Bytes         int64   `json:"bytes"`
	Error         float64 `json:"error"` // of all layers together, as that of each
	Layers        []Layer `json:"layers"`
	Kept          []Kept  `json:"kept"` // what a rule matches and is as it was
}

// Layer is one matrix.
type Layer struct {
	Phase        string  `json:"phase"`
	Path         string  `json:"path"`
	Weight       string  `json:"weight"` // the exporter's name
	Rows         int     `json:"rows"`
	Columns      int     `json:"columns"`
	From         string  `json:"from"`
	To           string  `json:"to"`
	BytesBefore  int64   `json:"bytes_before"`
	Bytes        int64   `json:"bytes"`
	Error        float64 `json:"error"`         // root mean square of the weights' errors over that of the weights
	LargestError float64 `json:"largest_error"` // of one weight
	SharedWith   string  `json:"shared_with,omitempty"`
	Raised       bool    `json:"raised,omitempty"` // the budget gave it more bits than its rule

	twin          *Layer // whose codes it shares
	square, power float64
}

// Kept is a weight that stays as it was.
type Kept struct {
	Phase string `json:"phase"`
	Path  string `json:"path"`
	Bytes int64  `json:"bytes"`
	Why   string `json:"why"`
}

// finish adds up the layers' errors.
func (r *Report) finish() {
	var sum lossSum
	for _, l := range r.Layers {
		sum.square += l.square
		sum.power += l.power
	}
	r.Error = sum.relative()
}
