package users

import (
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// guess has so many clients try passwords for a name until stopped, each as soon as it
// has its answer.
func guess(t *testing.T, u *Users, name string, clients int, from func(i int) netip.Addr) (stopped func()) {
	stop := make(chan struct{})
	for i := range clients {
		go func() {
			for n := 0; ; n++ {
				select {
				case <-stop:
					return
				default:
				}
				if u.Verify(name, fmt.Sprint("guess ", i, n), from(i)) {
					t.Error("a guess was right")
				}
				time.Sleep(time.Millisecond) // of the simulated clock
			}
		}()
	}
	time.Sleep(time.Second)
	return func() { close(stop); time.Sleep(2 * maxWait) }
}

// cheapFile has anna with a hash that costs little: it is turns that a test is about, and it takes
// many.
func cheapFile(t *testing.T) string {
	t.Helper()
	h := hash{time: 1, memory: 8, threads: 1, salt: make([]byte, newSalt)}
	h.compute("correct horse")
	path := filepath.Join(t.TempDir(), "users")
	if err := os.WriteFile(path, []byte("anna:"+h.String()+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestGuessersLockNoUserOut(t *testing.T) {
	path := cheapFile(t)
	for name, from := range map[string]func(i int) netip.Addr{
		"from other addresses":  func(i int) netip.Addr { return netip.AddrFrom4([4]byte{10, 2, 0, byte(i)}) },
		"from the same address": func(int) netip.Addr { return here },
		"from one IPv6 network": func(i int) netip.Addr {
			return netip.MustParseAddr(fmt.Sprintf("2001:db8::%x", i+1))
		},
		"from many IPv6 subnets": func(i int) netip.Addr {
			return netip.MustParseAddr(fmt.Sprintf("2001:db8:0:%x::1", i+1))
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				u := load(t, path)
				defer guess(t, u, "anna", 20, from)()
				if began := time.Now(); !u.Verify("anna", "correct horse", here) {
					t.Errorf("the right password was refused after %v of waiting", time.Since(began))
				}
			})
		})
	}
}

// grants lets n turns pass, each as long as a hash on a board, and counts them by
// address.
func grants(s *scheduler, n int) map[string]int {
	got := map[string]int{}
	for range n {
		time.Sleep(40 * time.Millisecond)
		synctest.Wait()
		s.mu.Lock()
		for from, turn := range s.lastTurn {
			if turn == s.turn {
				got[from.String()]++
			}
		}
		s.mu.Unlock()
		s.release(origin{}, false)
	}
	return got
}

func TestTrustedAddressHasEverySecondTurn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScheduler()
		trusted := netip.MustParseAddr("10.1.0.1")
		s.trust(trusted, time.Now())
		s.mu.Lock()
		s.busy = true // until the test ends a turn
		s.mu.Unlock()
		var refused atomic.Int64
		for i := range 5000 {
			go func() {
				if !s.acquire(origin{"anna", netip.AddrFrom4([4]byte{10, 2, byte(i >> 8), byte(i)})}) {
					refused.Add(1)
				}
			}()
			synctest.Wait()
		}
		for range 10 {
			go s.acquire(origin{"anna", trusted})
			synctest.Wait()
		}
		s.release(origin{}, false)
		got := grants(s, 8)
		if got["10.1.0.1"] != 4 {
			t.Errorf("got %v, want 4 of 8 turns for the address that logged in before", got)
		}
		s.mu.Lock()
		waits := len(s.waiting)
		s.mu.Unlock()
		if n := refused.Load(); waits > maxWaiting+reservedWaiting || n < 4900 {
			t.Errorf("got %d that wait and %d refused, want at most %d waiting", waits, n, maxWaiting+reservedWaiting)
		}
		time.Sleep(maxWait)
	})
}

func TestGreediestAddressMakesRoom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScheduler()
		s.busy = true
		for i := range maxWaiting {
			go s.acquire(origin{fmt.Sprint("user ", i%4), netip.MustParseAddr("10.2.0.1")})
		}
		synctest.Wait()
		granted := make(chan bool, 1)
		go func() { granted <- s.acquire(origin{"anna", here}) }()
		synctest.Wait()
		s.release(origin{}, false) // one of the greediest address, which arrived first
		s.release(origin{}, false)
		synctest.Wait()
		select {
		case ok := <-granted:
			if !ok {
				t.Error("a newcomer was refused while one address held all places")
			}
		default:
			t.Error("a newcomer does not have the second turn")
		}
		time.Sleep(maxWait)
	})
}

// A wrong password costs its name and address five attempts at once and then two a second.
func TestGuessingIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScheduler()
		n := 0
		go func() {
			for s.acquire(origin{"anna", here}) {
				n++
				s.release(origin{"anna", here}, false)
			}
		}()
		time.Sleep(10*time.Second + 100*time.Millisecond)
		s.mu.Lock()
		s.busy = true
		s.mu.Unlock()
		if want := maxAttempts + 20; n < want-1 || n > want {
			t.Errorf("got %d guesses in 10 s, want %d", n, want)
		}
		time.Sleep(2 * maxWait)
	})
}

func TestMemoryOfOriginsIsBounded(t *testing.T) {
	s := newScheduler()
	now := time.Now()
	for i := range 3 * maxBudgets {
		from := netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)})
		s.budgets.get(origin{"anna", from}, now.Add(time.Duration(i)*time.Millisecond))
		s.trust(from, now.Add(time.Duration(i)*time.Millisecond))
	}
	if len(s.budgets) > maxBudgets || len(s.trusted) > maxTrusted {
		t.Errorf("got %d budgets and %d trusted addresses, want at most %d and %d", len(s.budgets), len(s.trusted),
			maxBudgets, maxTrusted)
	}
}

func TestUnknownNamesShareOneBudget(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		u := load(t, file(t))
		for i := range 10 {
			u.Verify(strings.Repeat("n", i+1), "guess", here)
		}
		if got := len(u.scheduler.budgets); got != 1 {
			t.Errorf("got %d budgets after 10 unknown names, want 1", got)
		}
	})
}

// A user who logged in before needs no turn, from any address, also after the file was
// read again.
func TestKnownPasswordNeedsNoTurn(t *testing.T) {
	path := file(t)
	u := load(t, path)
	if !u.Verify("bob", "x", here) {
		t.Fatal("bob cannot log in")
	}
	if err := Add(path, "anna", "new"); err != nil {
		t.Fatal(err)
	}
	again := load(t, path)
	again.inherit(u)
	again.scheduler.busy = true // no turn for any attempt
	if !again.Verify("bob", "x", netip.MustParseAddr("10.9.9.9")) {
		t.Error("a known password waited for a turn")
	}
	if _, kept := again.proofs["anna"]; kept {
		t.Error("a proof of a password that was replaced is kept")
	}
}
