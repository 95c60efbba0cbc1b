# One line each: what a target does can be read here and typed by hand.
.PHONY: help build test race lint ci

help: ## show this list
	@sed -n 's/^\([a-z]*\):.*## /  make \1\t/p' $(MAKEFILE_LIST)

build: ## the command, as ./whyreset
	CGO_ENABLED=0 go build -trimpath -o whyreset ./cmd/whyreset

test: ## all tests, as whoever runs this
	go test ./...

race: ## all tests under the race detector; needs gcc
	go test -race ./...

lint: ## formatting, vet for each system, staticcheck, modules
	.ci/lint

ci: ## everything a change must pass; as root, since it installs packages
	.ci/run
