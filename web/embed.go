// Package web holds the console as it was built: the files of dist, compiled
// into the binary. It knows nothing of how they are served, may be read from
// any goroutine, and never writes.
package web

import (
	"embed"
	"io/fs"
)

// all: so that .gitkeep satisfies the pattern before the console was built.
//
//go:embed all:dist
var dist embed.FS

// Files returns the console's files, rooted so that "index.html" is the page
// and "assets/…" are its immutable, content-addressed parts. Without a build
// ("make web") there is no index.html, and the caller says so.
func Files() fs.FS {
	files, err := fs.Sub(dist, "dist")
	if err != nil {
		panic("web: the embedded directory has a fixed, valid name: " + err.Error())
	}
	return files
}
