package serve

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"

	"mnnconv/models/chat"
	"mnnconv/models/generate"
	"mnnconv/models/picture"
	"mnnconv/models/qwen25vl"
	"mnnconv/runtime"
)

// codeLost is the code of failures that only a new start ends.
const codeLost = "device_lost"

// failure is what a client is told.
type failure struct {
	status  int
	code    string
	param   string // the member of the request
	message string
}

func (f failure) Error() string { return f.message }

// bad says what is wrong with a member of the request.
func bad(param, message string) failure {
	return failure{http.StatusBadRequest, "invalid_value", param, param + ": " + message}
}

// badBody says what is wrong with a request as a whole.
func badBody(message string) failure {
	return failure{http.StatusBadRequest, "invalid_value", "", message}
}

// codePicture is the code of failures that a picture is the cause of.
const codePicture = "invalid_image"

// badPicture says what is wrong with the picture that a member holds.
func badPicture(param, message string) failure {
	return failure{http.StatusBadRequest, codePicture, param, param + ": " + message}
}

// failureOf says in a client's words why there is no answer. What is wrong with the
// server is not the client's to know.
func failureOf(err error) failure {
	var f failure
	var option *generate.OptionError
	switch {
	case errors.As(err, &f):
		return f
	case errors.Is(err, errFull):
		return failure{http.StatusServiceUnavailable, "queue_full", "", "all slots are busy and the queue is full; try again later"}
	case errors.Is(err, runtime.ErrLost):
		return failure{http.StatusServiceUnavailable, codeLost, "", "a device of this server is lost; it must be started again"}
	case errors.Is(err, qwen25vl.ErrPrompt):
		return failure{http.StatusBadRequest, "context_length_exceeded", "messages", err.Error()}
	case errors.Is(err, chat.ErrLimit):
		return failure{http.StatusBadRequest, "context_length_exceeded", "messages", "messages: the prompt that they make is too long for the chat template" + after(err, chat.ErrLimit)}
	case errors.Is(err, chat.ErrRefused):
		return bad("messages", "the chat template refuses this conversation"+after(err, chat.ErrRefused))
	case errors.As(err, &option): // members have the names of flags
		return bad(strings.ReplaceAll(option.Name, "-", "_"), fmt.Sprintf("%v: want %s", option.Value, option.Want))
	case errors.Is(err, generate.ErrOption):
		return badBody(err.Error())
	case errors.Is(err, picture.ErrLimit), errors.Is(err, picture.ErrMalformed), errors.Is(err, picture.ErrUnsupported):
		return failure{http.StatusBadRequest, codePicture, "messages", err.Error()} // it names the member
	}
	return failure{http.StatusInternalServerError, "failed", "", "the answer failed; the server's log says why"}
}

// after is what an error's text says after that of another within it: not the
// server's files, which stand before.
func after(err, within error) string {
	_, text, _ := strings.Cut(err.Error(), within.Error())
	return text
}

type failureBody struct {
	Error failureText `json:"error"`
}

type failureText struct {
	Message string  `json:"message"`
	Type    string  `json:"type"`
	Param   *string `json:"param"`
	Code    string  `json:"code"`
}

func (f failure) body() failureBody {
	kind := "invalid_request_error"
	if f.status >= 500 {
		kind = "server_error"
	}
	b := failureBody{failureText{f.message, kind, nil, f.code}}
	if f.param != "" {
		b.Error.Param = &f.param
	}
	return b
}

// fail answers with an error, as OpenAI's API writes them.
func (s *Server) fail(w http.ResponseWriter, err error) {
	f := failureOf(err)
	if f.status == http.StatusInternalServerError {
		s.c.Log(err.Error())
	}
	if f.status == http.StatusServiceUnavailable && f.code != codeLost {
		w.Header().Set("Retry-After", "1")
	}
	s.count.request(f.status)
	writeJSON(w, f.status, f.body())
}

func writeJSON(w http.ResponseWriter, status int, v any) {
	body, err := json.Marshal(v)
	if err != nil {
		panic(err) // of types above
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = w.Write(append(body, '\n')) // a client that went away
}

// quoted shows what a client sent, cut short.
func quoted(s string) string {
	if len(s) > 64 {
		s = s[:64] + "…"
	}
	return strconv.Quote(s)
}
