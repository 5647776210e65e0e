package main

import (
	"context"
	"errors"
	"fmt"
	"io"
)

// stdin is what a command reads of stdin. A read ends with ctx, though nothing may
// ever come; what comes later is lost then.
func (a *app) stdin(ctx context.Context) io.Reader { return awaited{ctx, a.in} }

type awaited struct {
	ctx  context.Context
	from io.Reader
}

func (r awaited) Read(b []byte) (int, error) {
	type result struct {
		n   int
		err error
	}
	own := make([]byte, len(b)) // the read may outlive this one
	came := make(chan result, 1)
	go func() {
		n, err := r.from.Read(own)
		came <- result{n, err}
	}()
	select {
	case x := <-came:
		if x.err != nil && !errors.Is(x.err, io.EOF) {
			x.err = fmt.Errorf("stdin: %w", x.err)
		}
		return copy(b, own[:x.n]), x.err
	case <-r.ctx.Done():
		return 0, context.Cause(r.ctx)
	}
}
