package httpapi

import (
	"io/fs"
	"net/http"
	"path"
	"strings"
)

// consoleCSP allows the console what it needs and nothing from elsewhere.
const consoleCSP = "default-src 'none'; script-src 'self'; style-src 'self'; font-src 'self'; img-src 'self'; " +
	"media-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"

// console serves the console's files, and its page for every address of the console.
func (s *Server) console() http.Handler {
	files := http.FileServerFS(s.o.Console)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodGet && r.Method != http.MethodHead {
			w.Header().Set("Allow", "GET, HEAD")
			writeProblem(w, problem(http.StatusMethodNotAllowed, "The console's files can only be read."))
			return
		}
		w.Header().Set("Content-Security-Policy", consoleCSP)
		name := strings.TrimPrefix(path.Clean("/"+r.URL.Path), "/")
		if info, err := fs.Stat(s.o.Console, name); name != "" && name != "index.html" && err == nil && !info.IsDir() {
			if strings.HasPrefix(name, "assets/") { // named by their content
				w.Header().Set("Cache-Control", "public, max-age=31536000, immutable")
			} else {
				w.Header().Set("Cache-Control", "no-cache")
			}
			files.ServeHTTP(w, r)
			return
		}
		if !isScreen(name) {
			http.NotFound(w, r)
			return
		}
		page, err := fs.ReadFile(s.o.Console, "index.html")
		if err != nil {
			w.WriteHeader(http.StatusNotImplemented)
			_, _ = w.Write([]byte("This binary was built without the console. Build it with: make build\n"))
			return
		}
		w.Header().Set("Cache-Control", "no-cache")
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		_, _ = w.Write(page)
	})
}

// isScreen reports whether a path may be an address of the console: it is not a
// file's, and nothing that is served elsewhere or by another version.
func isScreen(name string) bool {
	if name == "" {
		return true
	}
	if strings.Contains(path.Base(name), ".") {
		return false
	}
	first, _, _ := strings.Cut(name, "/")
	switch first {
	case "assets", "sounds", "flags", "icons", "metrics", "2010-04-01", "v4":
		return false
	}
	return true
}
