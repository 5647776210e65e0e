package serve

import (
	"strings"

	"mnnconv/models"
)

// stopper passes text on up to the first stop string. What may become one waits.
type stopper struct {
	stops   []string
	say     func(string) error
	held    string
	stopped bool
}

func (s *stopper) push(text string) error {
	if s.stopped {
		return models.ErrEnough
	}
	s.held += text
	at := -1
	for _, stop := range s.stops {
		if i := strings.Index(s.held, stop); i >= 0 && (at < 0 || i < at) {
			at = i
		}
	}
	if at >= 0 {
		s.stopped = true
		s.held = s.held[:at]
		if err := s.flush(); err != nil {
			return err
		}
		return models.ErrEnough
	}
	keep := 0
	for _, stop := range s.stops {
		for n := min(len(stop)-1, len(s.held)); n > keep; n-- {
			if strings.HasSuffix(s.held, stop[:n]) {
				keep = n
			}
		}
	}
	out := s.held[:len(s.held)-keep]
	s.held = s.held[len(s.held)-keep:]
	if out == "" {
		return nil
	}
	return s.say(out)
}

func (s *stopper) flush() error {
	out := s.held
	s.held = ""
	if out == "" {
		return nil
	}
	return s.say(out)
}
