package handover

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
)

const maxRefusal = 256 << 10 // bytes of a file with one

// Refusal is why PID 1 of a board does not run the role.
type Refusal struct {
	Listen string   `json:"listen"` // host:port of the page that shows it
	Faults []string `json:"faults"` // of the configuration: "FILE:LINE: message"; no secret
}

// WriteRefusal writes the file that ReadRefusal reads. It is for one reader, which is
// not running yet.
func WriteRefusal(file string, r Refusal) error {
	b, err := json.Marshal(r)
	if err != nil {
		return err
	}
	if len(b) > maxRefusal {
		return errors.New("handover: too many faults for one file")
	}
	return os.WriteFile(file, b, 0o400)
}

// ReadRefusal reads the file of a role that has to show a refusal; asked is false for
// one that has not.
func ReadRefusal() (r Refusal, asked bool, err error) {
	name, asked := os.LookupEnv(Refused)
	if !asked {
		return r, false, nil
	}
	f, err := os.Open(name)
	if err != nil {
		return r, true, fmt.Errorf("handover: %w", err)
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxRefusal))
	if err == nil {
		err = json.Unmarshal(b, &r)
	}
	if err == nil && (r.Listen == "" || len(r.Faults) == 0) {
		err = errors.New("no address or no fault")
	}
	if err != nil {
		return r, true, fmt.Errorf("handover: reading %s: %v", name, err)
	}
	return r, true, nil
}
