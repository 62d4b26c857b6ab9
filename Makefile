# Every target is enough by itself on Debian 12 with Go, Node, npm and make.
# What takes long is a target of its own; "make test" is what CI runs.

VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo devel)
GOFUMPT = go tool -modfile=tools/go.mod gofumpt
PACKAGES = ./...
FUZZTIME ?= 20s
ARGS ?=

.PHONY: build web run test unit e2e lint format bench fuzz cover setup clean help

help: ## list the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 12

build: web ## bin/dialtone, console included, one static file
	CGO_ENABLED=0 go build -trimpath -ldflags "-s -w -X main.version=$(VERSION)" -o bin/dialtone ./cmd/dialtone

web: ## the console's files in web/dist (only when its sources changed)
	scripts/web.sh

run: build ## a demo on https://localhost:8443 (more flags: make run ARGS=…)
	bin/dialtone serve --demo --log-format text $(ARGS)

test: ## everything CI runs; installs what it needs
	scripts/test.sh

unit: ## Go's tests without the browser's, with the race detector when there is a C compiler
	scripts/test.sh unit

e2e: ## the tests with a browser, SIPp and baresip alone
	scripts/test.sh setup e2e

lint: ## golangci-lint: slower than what "make test" checks, and more of it
	go tool -modfile=tools/lint/go.mod golangci-lint run

format: ## gofumpt, prettier
	$(GOFUMPT) -w $$(git ls-files '*.go')
	cd web && npm run -s format

bench: build ## the figures of calls, as a table and one line of JSON
	go run ./bench

fuzz: ## every fuzz target for FUZZTIME each
	scripts/fuzz.sh $(FUZZTIME)

cover: ## coverage of Go's tests by package, and cover.html
	mkdir -p .cache
	go test -coverpkg=./internal/... -coverprofile=.cache/cover.out $$(go list $(PACKAGES) | grep -v /e2e)
	go tool cover -func=.cache/cover.out | tail -1
	go tool cover -html=.cache/cover.out -o cover.html

setup: ## install what the tests need
	scripts/setup.sh

clean: ## remove what was built
	rm -rf bin .cache cover.html web/node_modules e2e/node_modules
	find web/dist -mindepth 1 ! -name .gitkeep -delete
