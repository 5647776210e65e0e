package serve

import (
	_ "embed"
	"net/http"
)

// modelCard is a model as /v1/models lists it.
type modelCard struct {
	ID      string `json:"id"`
	Object  string `json:"object"`
	Created int64  `json:"created"`
	OwnedBy string `json:"owned_by"`
}

func (s *Server) card() modelCard {
	return modelCard{s.c.Model, "model", s.c.Started.Unix(), "local"}
}

func (s *Server) listModels(w http.ResponseWriter, _ *http.Request) {
	writeJSON(w, http.StatusOK, struct {
		Object string      `json:"object"`
		Data   []modelCard `json:"data"`
	}{"list", []modelCard{s.card()}})
}

func (s *Server) oneModel(w http.ResponseWriter, r *http.Request) {
	if name := r.PathValue("name"); name != s.c.Model {
		s.fail(w, failure{http.StatusNotFound, "model_not_found", "model", "no model " + quoted(name) + "; see /v1/models"})
		return
	}
	writeJSON(w, http.StatusOK, s.card())
}

// health says that the server lives, or that it has lost a device and must be started
// again, and how busy it is.
func (s *Server) health(w http.ResponseWriter, _ *http.Request) {
	busy, waiting := s.slots.load()
	status, code := "ok", http.StatusOK
	if s.lost.Load() {
		status, code = "unhealthy", http.StatusServiceUnavailable
	}
	writeJSON(w, code, struct {
		Status  string `json:"status"`
		Slots   int    `json:"slots"`
		Busy    int    `json:"busy"`
		Waiting int    `json:"waiting"`
	}{status, s.slots.all, busy, waiting})
}

//go:embed page.html
var pageHTML []byte

// page is a small page to try the model with a picture.
func page(w http.ResponseWriter, _ *http.Request) {
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; connect-src 'self'; img-src data: blob:; form-action 'none'; frame-ancestors 'none'")
	_, _ = w.Write(pageHTML) // a client that went away
}
