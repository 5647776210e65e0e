//go:build unix

package main

import (
	"bufio"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"regexp"
	"strings"
	"syscall"
	"testing"
)

// TestServe starts a server on a free port, asks it about a picture, and ends it.
func TestServe(t *testing.T) {
	r, w := io.Pipe()
	code := make(chan int)
	go func() {
		code <- run([]string{"serve", bundled, "--listen", "127.0.0.1:0", "--slots", "2"}, strings.NewReader(""), io.Discard, w)
		w.Close()
	}()
	errs := bufio.NewReader(r)
	line, err := errs.ReadString('\n')
	at := regexp.MustCompile(`http://127\.0\.0\.1:\d+/v1`).FindString(line)
	if err != nil || at == "" {
		t.Fatalf("%q %v", line, err)
	}
	rest := make(chan string)
	go func() {
		b, _ := io.ReadAll(errs)
		rest <- string(b)
	}()
	picture, err := os.ReadFile(bundled + "/demo/describe.png")
	if err != nil {
		t.Fatal(err)
	}
	body := fmt.Sprintf(`{"messages":[{"role":"user","content":[{"type":"image_url","image_url":{"url":"data:image/png;base64,%s"}},{"type":"text","text":"Describe the image."}]}]}`,
		base64.StdEncoding.EncodeToString(picture))
	resp, err := http.Post(at+"/chat/completions", "application/json", strings.NewReader(body)) //nolint:noctx // the test's own time limit
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var got struct {
		Choices []struct{ Message struct{ Content string } }
	}
	if err := json.NewDecoder(resp.Body).Decode(&got); err != nil {
		t.Fatal(err)
	}
	want := "There is a pink cross at the top right, a green ring at the bottom center and a red cross at the bottom right."
	if len(got.Choices) != 1 || got.Choices[0].Message.Content != want {
		t.Errorf("%+v, want %q", got, want)
	}
	if err := syscall.Kill(os.Getpid(), syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if got, said := <-code, <-rest; got != 143 || said != "mnnconv: terminated\n" {
		t.Errorf("exit code %d and %q", got, said)
	}
}
