//go:build unix

package main

import (
	"bufio"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"net/http"
	"os"
	"regexp"
	"strings"
	"syscall"
	"testing"
)

// TestServe starts a server on a free port whose stdout nobody reads, asks it about a
// picture and for more tokens than there is room, and ends it.
func TestServe(t *testing.T) {
	gone, stdout, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	gone.Close()
	defer stdout.Close()
	r, w := io.Pipe()
	code := make(chan int)
	go func() {
		code <- run([]string{"serve", bundled, "--listen", "127.0.0.1:0", "--slots", "2"}, strings.NewReader(""), stdout, w)
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
	for _, most := range []int{2048, math.MaxInt32} { // the context has 2048; the answer has its own end
		body := fmt.Sprintf(`{"messages":[{"role":"user","content":"Count from 6 to 13."}],"max_tokens":%d}`, most)
		resp, err := http.Post(at+"/chat/completions", "application/json", strings.NewReader(body)) //nolint:noctx // the test's own time limit
		if err != nil {
			t.Fatal(err)
		}
		b, err := io.ReadAll(resp.Body)
		if resp.Body.Close(); err != nil || resp.StatusCode != http.StatusOK || !strings.Contains(string(b), `"content":"6 7 8 9 10 11 12 13."`) || !strings.Contains(string(b), `"finish_reason":"stop"`) {
			t.Errorf("at most %d tokens: %s %s %v", most, resp.Status, b, err)
		}
	}
	if err := syscall.Kill(os.Getpid(), syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if got, said := <-code, <-rest; got != 143 || said != "mnnconv: terminated\n" {
		t.Errorf("exit code %d and %q", got, said)
	}
}
