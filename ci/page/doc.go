// Package page looks at the status page of both roles in a real browser: the server is the
// real one, what it shows are snapshots of a healthy pair and of pairs in trouble.
//
// With HELIOGRAPH_PAGES=DIR the test leaves its screenshots there (see ci/pages.sh). It does
// not start roles: what they put into a snapshot is tested where they do.
package page
