// Package page looks at the status page of both roles in a real browser: the server is the
// real one, what it shows are snapshots of a healthy pair and of pairs in trouble.
//
// It takes screenshots of each at three widths, light and dark, and looks whether they show
// something. They are left in the test's folder of artifacts (go test -artifacts), or in
// HELIOGRAPH_PAGES=DIR (see ci/pages.sh). It does not start roles: what they put into a
// snapshot is tested where they do.
package page
