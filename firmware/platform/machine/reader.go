package machine

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
)

const (
	sector     = 512 // bytes, also of a disk with others (Documentation/block/stat.rst)
	written    = 6   // field of stat
	lifeSpent  = 0x0B
	nowLow     = 1 << 0
	onceLow    = 1 << 16
	throttled  = "sys/devices/platform/soc*/soc*:firmware/get_throttled"
	thermal    = "sys/class/thermal/thermal_zone0/temp"
	sensors    = "sys/class/hwmon/hwmon*"
	sensorName = "rpi_volt"
)

// Reader reads the facts of the machine that it runs on. Safe for concurrent use.
type Reader struct {
	Root  string // of the file system: "/"
	State string // folder whose disk counts

	file string // of PID 1; "": none

	mu     sync.Mutex
	wasLow bool // the supply was seen too low
}

// Of returns the reader of this machine for a role with that state folder; published says that
// PID 1 of a board reads the files.
func Of(state string, published bool) *Reader {
	if published {
		return From(File)
	}
	r := &Reader{Root: "/", State: state}
	if absolute, err := filepath.Abs(state); err == nil {
		r.State = absolute
	}
	return r
}

// From returns a reader of what PID 1 publishes in a file.
func From(file string) *Reader { return &Reader{file: file} }

// Facts reads them all, but for the LED; on a board those that PID 1 has published.
func (r *Reader) Facts() Facts {
	if r.file != "" {
		return Read(r.file)
	}
	f := Facts{Supply: r.supply(), Card: r.card()}
	f.Name, _ = os.Hostname() // "" is not known
	if seconds, _, ok := strings.Cut(r.text("proc/uptime"), " "); ok {
		f.UptimeSeconds, _ = strconv.ParseFloat(seconds, 64)
	}
	if milli, err := strconv.Atoi(r.text(thermal)); err == nil {
		degrees := float64(milli) / 1000
		f.Temperature = &degrees
	}
	return f
}

// text is the content of a file without the blanks around it; "" if there is none.
func (r *Reader) text(name string) string {
	b, err := os.ReadFile(filepath.Join(r.Root, name))
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(b))
}

// supply is what the firmware of a Raspberry Pi says of its 5 V.
func (r *Reader) supply() string {
	low, known := r.low()
	r.mu.Lock()
	defer r.mu.Unlock()
	r.wasLow = r.wasLow || low&(nowLow|onceLow) != 0
	switch {
	case !known:
		return ""
	case low&nowLow != 0:
		return LowNow
	case r.wasLow:
		return LowBefore
	}
	return Fine
}

// low returns bits of get_throttled, and whether they are known.
func (r *Reader) low() (bits uint64, known bool) {
	found, _ := filepath.Glob(filepath.Join(r.Root, sensors, "name"))
	for _, name := range found {
		sensor := strings.TrimPrefix(filepath.Dir(name), r.Root)
		if r.text(filepath.Join(sensor, "name")) == sensorName {
			bits, err := strconv.ParseUint(r.text(filepath.Join(sensor, "in0_lcrit_alarm")), 10, 1)
			return bits, err == nil
		}
	}
	if found, _ = filepath.Glob(filepath.Join(r.Root, throttled)); len(found) == 0 {
		return 0, false
	}
	bits, err := strconv.ParseUint(strings.TrimPrefix(r.text(strings.TrimPrefix(found[0], r.Root)), "0x"), 16, 32)
	return bits, err == nil
}

// card says how far the disk of the state is worn.
func (r *Reader) card() string {
	device := r.device()
	if device == "" {
		return ""
	}
	var words []string
	if wear := worn(r.text(filepath.Join(device, "device/life_time"))); wear != "" {
		words = append(words, wear)
	}
	if fields := strings.Fields(r.text(filepath.Join(device, "stat"))); len(fields) > written {
		if n, err := strconv.ParseUint(fields[written], 10, 64); err == nil {
			words = append(words, fmt.Sprintf("%.1f GB written since boot", float64(n)*sector/1e9))
		}
	}
	return strings.Join(words, ", ")
}

// worn puts an eMMC's estimate of its life into words: the worse of its two kinds of memory.
func worn(life string) string {
	most := uint64(0)
	for _, field := range strings.Fields(life) {
		n, err := strconv.ParseUint(strings.TrimPrefix(field, "0x"), 16, 8)
		if err != nil {
			return ""
		}
		most = max(most, n)
	}
	switch {
	case most == 0 || most > lifeSpent:
		return "" // not defined
	case most == lifeSpent:
		return "worn beyond its rated life"
	}
	return fmt.Sprintf("%d to %d %% worn", 10*(most-1), 10*most)
}

// device is the folder in /sys of the disk that has the state; "" where it is none, such
// as memory.
func (r *Reader) device() string {
	number, longest := "", 0
	for line := range strings.Lines(r.text("proc/self/mountinfo")) { // proc_pid_mountinfo(5)
		fields := strings.Fields(line)
		if len(fields) > 4 && len(fields[4]) >= longest && within(r.State, fields[4]) {
			number, longest = fields[2], len(fields[4])
		}
	}
	if number == "" {
		return ""
	}
	device, err := filepath.EvalSymlinks(filepath.Join(r.Root, "sys/dev/block", number))
	if err != nil {
		return ""
	}
	if _, err := os.Stat(filepath.Join(device, "partition")); err == nil {
		device = filepath.Dir(device)
	}
	return strings.TrimPrefix(device, r.Root)
}

// within reports whether a path is below a folder, or is it.
func within(path, folder string) bool {
	return path == folder || strings.HasPrefix(path, strings.TrimSuffix(folder, "/")+"/")
}
