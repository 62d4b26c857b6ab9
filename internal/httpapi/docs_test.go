package httpapi_test

import (
	"encoding/json"
	"os"
	"regexp"
	"strings"
	"testing"
)

// Every operation is in docs/api.md, and what is there exists.
func TestDocumentation(t *testing.T) {
	h := newHouse(t, brokenCarrier{})
	var api struct {
		Paths map[string]map[string]json.RawMessage
	}
	if err := json.Unmarshal([]byte(h.ask("GET", "/api/v1/openapi.json", "").Body), &api); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile("../../docs/api.md")
	if err != nil {
		t.Fatal(err)
	}
	parameter := regexp.MustCompile(`\{[a-z]+\}`)
	// Served beside the document's operations.
	beside := map[string]bool{"GET /events": true, "GET /voicemails/{}/audio": true, "GET /session/oidc/{}/start": true}
	said := map[string]bool{}
	for _, m := range regexp.MustCompile("`(GET|POST|PUT|PATCH|DELETE) (/[^` ?]*)").FindAllStringSubmatch(string(text), -1) {
		if path := parameter.ReplaceAllString(m[2], "{}"); !said[m[1]+" "+path] {
			said[m[1]+" "+path] = false
		}
	}
	there := 0
	for path, methods := range api.Paths {
		for method := range methods {
			there++
			name := strings.ToUpper(method) + " " + parameter.ReplaceAllString(strings.TrimPrefix(path, "/api/v1"), "{}")
			if _, ok := said[name]; !ok {
				t.Errorf("docs/api.md does not say %s", name)
			}
			said[name] = true
		}
	}
	for name, exists := range said {
		if !exists && !beside[name] {
			t.Errorf("docs/api.md says %s, which there is not", name)
		}
	}
	if there < 40 {
		t.Errorf("%d operations", there)
	}
}
