package text

import "bytes"

// byteOrderMark is U+FEFF in UTF-8, with which some editors begin a file.
var byteOrderMark = []byte("\uFEFF")

// TrimMark returns a file's content without the byte order mark before it.
func TrimMark(content []byte) []byte { return bytes.TrimPrefix(content, byteOrderMark) }

// IsUTF16 reports whether a file begins with the byte order mark of UTF-16, as
// Notepad's "Unicode" and PowerShell's ">" write it.
func IsUTF16(content []byte) bool {
	return bytes.HasPrefix(content, []byte("\xFF\xFE")) || bytes.HasPrefix(content, []byte("\xFE\xFF"))
}
