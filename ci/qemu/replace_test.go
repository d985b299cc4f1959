package qemu

import (
	"errors"
	"strings"
	"testing"
)

// replaced takes TX's card away for good and puts in a new one, with the pair's key and
// without any memory. RX refuses it until someone at its console says yes.
func (p *pair) replaced(t, outer *testing.T) {
	p.tx.cut()
	p.tx = boot(outer, p.txSpare, p.txWiring)
	p.tx.shows(t, "msg=starting program=heliotx", 1)
	p.rx.until(t, "RX refuses the new card", func() error {
		r, err := web.Get("http://" + p.rxWiring.status + "/readyz")
		if err != nil {
			return err
		}
		defer r.Body.Close()
		why := make([]byte, 4096)
		n, _ := r.Body.Read(why)
		if !strings.Contains(string(why[:n]), "epoch_regressed") {
			return errors.New(string(why[:n]))
		}
		return nil
	})
	p.rx.press(t, "e")
	p.rx.shows(t, "Number of the one to accept", 1)
	p.rx.press(t, "1")
	p.rx.shows(t, "Was the transmitter replaced or flashed again", 1)
	p.rx.press(t, "yes\r")
	p.rx.shows(t, "Accepted with the next frame", 1)
	p.rx.answers(t, "http://"+p.rxWiring.status+"/readyz")
	p.contentArrives(t, "from the new card")
}
