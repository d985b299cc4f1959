package flash

import (
	"os"

	"heliograph/tools/image"
)

const sector = 512

// content is the files of an image's configuration.
type content = image.Content

// readContent reads the configuration in an image or on a card.
func readContent(f *os.File) (content, error) { return image.ReadContent(f) }

// addContent puts files into an image's configuration.
func addContent(f *os.File, c content) error { return image.AddContent(f, c) }
