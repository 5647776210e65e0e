package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"mnnconv"
	"mnnconv/cmd/mnnconv/internal/serve"
	"mnnconv/partition"
)

// serveOptions are the flags of serve.
type serveOptions struct {
	talkOptions

	listen string
	name   string
	key    string
	slots  int
	queue  int
	pixels int
	held   string // what requests may hold together
}

// mostSlots bounds --slots: each has a state of its own.
const mostSlots = 256

func newServeCmd(a *app) *cobra.Command {
	o := &serveOptions{talkOptions: talkOptions{app: a}}
	limits := serve.DefaultLimits()
	cmd := &cobra.Command{
		Use:   "serve SRC",
		Short: "Answer questions over HTTP, as OpenAI's API does",
		Long: "serve answers POST /v1/chat/completions, whole or streamed, with pictures in data URLs;\n" +
			"GET /v1/models, /health, /metrics for Prometheus, and a small page at / to try it. Only\n" +
			"this machine can reach it unless --listen says otherwise, and it never fetches anything.",
		Example: "  mnnconv serve FOLDER\n  mnnconv serve FOLDER --listen :8080 --api-key SECRET --slots 8",
		Args:    args(1, 1, srcArg),
		RunE:    func(cmd *cobra.Command, args []string) error { return runServe(cmd.Context(), o, args[0]) },
	}
	f := cmd.Flags()
	f.StringVar(&o.listen, "listen", "127.0.0.1:8080", "`ADDRESS` to listen on; :PORT is every address of this machine, port 0 a free one")
	f.StringVar(&o.name, "name", "", "the model's name towards clients (default: its folder's)")
	f.StringVar(&o.key, "api-key", "", "what clients must show as Authorization: Bearer `KEY`")
	f.IntVar(&o.slots, "slots", 4, "conversations that are held, and answered, at a time")
	f.IntVar(&o.queue, "queue", limits.Queue, "requests that wait for a slot; more get 503")
	f.IntVar(&o.pixels, "max-image-pixels", limits.Pixels, "refuse pictures of more than `N` pixels")
	f.StringVar(&o.held, "request-memory", "2GiB", "`SIZE` that all requests may hold together, as texts and as pictures; more get 503")
	o.addTalk(cmd)
	return cmd
}

// check finds flags that are out of range, and returns what requests may hold together.
func (o *serveOptions) check() (held int64, err error) {
	if held, err = partition.ParseSize(o.held); err != nil {
		return 0, usagef("--request-memory: %w", err)
	}
	switch {
	case o.slots < 1 || o.slots > mostSlots:
		return 0, usagef("--slots %d: want 1 to %d", o.slots, mostSlots)
	case o.queue < 0:
		return 0, usagef("--queue %d: want 0 or more", o.queue)
	case o.pixels < 1:
		return 0, usagef("--max-image-pixels %d: want 1 or more", o.pixels)
	case held < serve.LeastMemory(o.pixels):
		return 0, usagef("--request-memory %s: a picture of --max-image-pixels %d needs %d bytes", o.held, o.pixels, serve.LeastMemory(o.pixels))
	}
	if _, _, err := net.SplitHostPort(o.listen); err != nil {
		return 0, usagef("--listen %s: want HOST:PORT or :PORT", o.listen)
	}
	return held, nil
}

func runServe(ctx context.Context, o *serveOptions, src string) (err error) {
	held, err := o.check()
	if err != nil {
		return err
	}
	p, err := o.open(src, 1, o.slots)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, p.Close(), p.Source.Close()) }()
	sessions, err := p.Slots(o.context)
	if err != nil {
		return fmt.Errorf("%d slots: %w", o.slots, err)
	}
	defer func() {
		for _, session := range sessions {
			err = errors.Join(err, session.Close())
		}
	}()
	o.noteAlone(src, o.slots, p.Source)
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", o.listen)
	if err != nil {
		return usagef("--listen %s: %w; give another address or port, 0 for a free one", o.listen, err)
	}
	fmt.Fprintf(o.err, "mnnconv: note: serving %s at http://%s/v1, and a page to try it at http://%[2]s/\n", printable(o.called(src)), l.Addr())
	return serve.New(o.config(src, p, l, held), sessions).Serve(ctx, l)
}

// called is the model's name towards clients.
func (o *serveOptions) called(src string) string {
	if o.name != "" {
		return o.name
	}
	name := src
	if abs, err := filepath.Abs(src); err == nil {
		name = abs
	}
	return strings.TrimSuffix(filepath.Base(name), ".mnnc")
}

func (o *serveOptions) config(src string, p *mnnconv.Program, l net.Listener, held int64) serve.Config {
	c := serve.Config{
		Model:    o.called(src),
		Started:  time.Now(),
		Settings: o.sampling.settings(p),
		Key:      o.key,
		Limits:   serve.DefaultLimits(),
		Log:      func(text string) { fmt.Fprintf(o.err, "mnnconv: %s\n", printable(text)) },
	}
	c.Limits.Queue, c.Limits.Images, c.Limits.Pixels, c.Limits.Memory = o.queue, o.maxImages, o.pixels, held
	if a, ok := l.Addr().(*net.TCPAddr); ok && a.IP.IsLoopback() {
		c.Hosts = []string{"localhost", "127.0.0.1", "::1", a.IP.String()}
	}
	return c
}
