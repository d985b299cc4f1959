package initial

import (
	"strconv"
	"time"

	"heliograph/firmware/config"
)

// The carousel's guaranteed share of a line that live traffic fills, as heliotx has it.
const (
	datagramShare = 0.10
	serialShare   = 0.25
	bitsPerByte   = 10 // on a UART, 8N1
)

// Carousel returns how long the carousel takes to send so many bytes once, on a line that is
// idle and on one that live traffic fills. That is how long a receiver that starts takes to
// be complete.
func Carousel(a Answers, bytes int64) (idle, busy time.Duration) {
	bytesPerSecond, share := 0.0, datagramShare
	if a.Medium == uart {
		baud, _ := strconv.Atoi(a.Baud)
		bytesPerSecond, share = float64(baud)/bitsPerByte, serialShare
	} else if rate, err := config.ParseRate(a.Rate); err == nil {
		bytesPerSecond = rate / 8
	}
	overhead, err := config.ParsePercent(a.Overhead)
	if err != nil || bytesPerSecond <= 0 {
		return 0, 0
	}
	seconds := float64(bytes) * (1 + overhead) / bytesPerSecond
	return time.Duration(seconds * float64(time.Second)), time.Duration(seconds / share * float64(time.Second))
}
