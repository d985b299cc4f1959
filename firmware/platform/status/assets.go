package status

import (
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"io/fs"
	"net/http"
	"path"
	"strings"
	"sync"
)

// The page's own files, and uPlot 1.6.32 (MIT, npm "uplot"), which draws its plots.
//
//go:embed assets
var assetFiles embed.FS

// asset is a file below /assets/. Its path has a part of its hash, so that a browser keeps
// it for as long as its content is the same.
type asset struct {
	path, kind string
	content    []byte
}

// kinds are the media types of assets; a host's own table may differ.
var kinds = map[string]string{
	".css": "text/css; charset=utf-8", ".js": "text/javascript; charset=utf-8", ".svg": "image/svg+xml",
}

// assets are all of them, by their name below the folder.
var assets = sync.OnceValue(func() map[string]asset {
	list := map[string]asset{}
	_ = fs.WalkDir(assetFiles, "assets", func(name string, _ fs.DirEntry, err error) error {
		if err != nil || kinds[path.Ext(name)] == "" {
			return err
		}
		content, err := assetFiles.ReadFile(name)
		hash := sha256.Sum256(content)
		short, ext := strings.TrimPrefix(name, "assets/"), path.Ext(name)
		list[short] = asset{content: content, kind: kinds[ext],
			path: "/assets/" + hex.EncodeToString(hash[:6]) + "/" + short}
		return err
	}) // files that are embedded can be read
	return list
})

// assetPath is where the page finds one of its files.
func assetPath(name string) string { return assets()[name].path }

// serveAsset answers with a file of the page.
func serveAsset(w http.ResponseWriter, r *http.Request) {
	for _, a := range assets() {
		if a.path == r.URL.Path {
			w.Header().Set("Content-Type", a.kind)
			w.Header().Set("Cache-Control", "private, max-age=31536000, immutable")
			_, _ = w.Write(a.content) // a client that has gone
			return
		}
	}
	http.NotFound(w, r)
}
