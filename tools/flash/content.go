package flash

import (
	"os"

	"heliograph/tools/image"
)

const sector = 512

// content is the files of an image's configuration.
type content = image.Content

// addContent puts files into an image's configuration.
func addContent(f *os.File, c content) error { return image.AddContent(f, c) }
