package users

import (
	"fmt"
	"net/netip"
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

func TestGuessersKeepNobodyOut(t *testing.T) {
	path := file(t)
	for name, from := range map[string]func(i int) netip.Addr{
		"from other addresses":   func(i int) netip.Addr { return netip.AddrFrom4([4]byte{10, 2, 0, byte(i)}) },
		"from the same address":  func(int) netip.Addr { return here },
		"from one IPv6 network":  func(i int) netip.Addr { return netip.MustParseAddr(fmt.Sprintf("2001:db8::%x", i+1)) },
		"from many IPv6 subnets": func(i int) netip.Addr { return netip.MustParseAddr(fmt.Sprintf("2001:db8:0:%x::1", i+1)) },
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
func grants(u *turns, n int) map[string]int {
	got := map[string]int{}
	for range n {
		time.Sleep(40 * time.Millisecond)
		synctest.Wait()
		u.mu.Lock()
		for from, turn := range u.served {
			if turn == u.turn {
				got[from.String()]++
			}
		}
		u.mu.Unlock()
		u.done(spender{}, false)
	}
	return got
}

func TestGoodAddressHasEverySecondTurnBesideThousands(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		u := newTurns()
		good := netip.MustParseAddr("10.1.0.1")
		u.welcome(good, time.Now())
		u.mu.Lock()
		u.busy = true // until the test ends a turn
		u.mu.Unlock()
		var refused atomic.Int64
		for i := range 5000 {
			go func() {
				if !u.wait(spender{"anna", netip.AddrFrom4([4]byte{10, 2, byte(i >> 8), byte(i)})}) {
					refused.Add(1)
				}
			}()
			synctest.Wait()
		}
		for range 10 {
			go u.wait(spender{"anna", good})
			synctest.Wait()
		}
		u.done(spender{}, false)
		got := grants(u, 8)
		if got["10.1.0.1"] != 4 {
			t.Errorf("got %v, want 4 of 8 turns for the address that logged in before", got)
		}
		u.mu.Lock()
		waits := len(u.waiting)
		u.mu.Unlock()
		if n := refused.Load(); waits > maxWaiting+reserve || n < 4900 {
			t.Errorf("got %d that wait and %d refused, want at most %d waiting", waits, n, maxWaiting+reserve)
		}
		time.Sleep(maxWait)
	})
}

func TestGreediestAddressMakesRoom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		u := newTurns()
		u.busy = true
		for i := range maxWaiting {
			go u.wait(spender{fmt.Sprint("user ", i%4), netip.MustParseAddr("10.2.0.1")})
		}
		synctest.Wait()
		granted := make(chan bool, 1)
		go func() { granted <- u.wait(spender{"anna", here}) }()
		synctest.Wait()
		u.done(spender{}, false) // one of the greedy, which came first
		u.done(spender{}, false)
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

// A wrong password costs its name and address five tries at once and then two a second.
func TestGuessingIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		u := newTurns()
		n := 0
		go func() {
			for u.wait(spender{"anna", here}) {
				n++
				u.done(spender{"anna", here}, false)
			}
		}()
		time.Sleep(10*time.Second + 100*time.Millisecond)
		u.mu.Lock()
		u.busy = true
		u.mu.Unlock()
		if want := tries + 20; n < want-1 || n > want {
			t.Errorf("got %d guesses in 10 s, want %d", n, want)
		}
		time.Sleep(2 * maxWait)
	})
}

func TestMemoryOfGuessersIsBounded(t *testing.T) {
	u := newTurns()
	now := time.Now()
	for i := range 3 * maxBudgets {
		from := netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)})
		u.budget(spender{"anna", from}, now.Add(time.Duration(i)*time.Millisecond))
		u.welcome(from, now.Add(time.Duration(i)*time.Millisecond))
	}
	if len(u.budgets) > maxBudgets || len(u.good) > maxGood {
		t.Errorf("got %d budgets and %d good addresses, want at most %d and %d", len(u.budgets), len(u.good), maxBudgets, maxGood)
	}
}

func TestUnknownNamesShareOneBudget(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		u := load(t, file(t))
		for i := range 10 {
			u.Verify(strings.Repeat("n", i+1), "guess", here)
		}
		if got := len(u.turns.budgets); got != 1 {
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
	again.turns.busy = true // no turn for anybody
	if !again.Verify("bob", "x", netip.MustParseAddr("10.9.9.9")) {
		t.Error("a known password waited for a turn")
	}
	if _, kept := again.known["anna"]; kept {
		t.Error("a proof of a password that was replaced is kept")
	}
}
