# One line each: what a target does can be read here and typed by hand.
.PHONY: help build man test race endings trials transparent damage bench syscalls sources lint ci fuzz record

help: ## show this list
	@sed -n 's/^\([a-z]*\):.*## /  make \1\t/p' $(MAKEFILE_LIST)

build: ## the command, as ./whyreset
	CGO_ENABLED=0 go build -trimpath -o whyreset ./cmd/whyreset

man: ## the manual pages, in dist/man
	go test ./cmd/whyreset -run 'TestManual$$' -man "$(CURDIR)/dist/man" -count=1

test: ## all tests, as whoever runs this
	go test ./...

race: ## all tests under the race detector; needs gcc
	go test -race ./...

endings: ## each way to end a connection, 20 times direct and 20 times through the relay
	go test ./integration -run TestEndings -repeats 20

trials: ## TRIALS=300 random connections, each ended in a random way, from SEED=1, with tables of how right the verdicts are; as root with the kernel's reasons
	$(if $(filter 0,$(shell id -u)),WHYRESET_LAB=here) go test ./integration -run 'TestTrials$$' -count=1 -v -trials $(or $(TRIALS),300) -seed $(or $(SEED),1)

transparent: ## what the transparent modes carry by each way and from each port, with figures; CONNECTIONS=1000 by each way
	go test ./integration -run TestTransparent -count=1 -v -connections $(or $(CONNECTIONS),1000)

damage: ## captures cut and spoilt in many places, where the public ones are at hand
	go test ./diagnose/replay -run 'TestDamage|Spoilt' -thorough

bench: ## speed, processor time and memory beside HAProxy, nginx and io.Copy; as root; takes fifteen minutes
	go run ./integration/bench
	go run ./integration/bench -transparent -works connections,requests-64,down-4,up-4,idle,resets

syscalls: ## how many system calls a connection and a request cost each of them; needs strace
	go run ./integration/bench -syscalls -seconds 0.3 -works connections,requests-1,requests-64,requests-512

sources: ## what each source of evidence costs, on and off in one run; as root
	go run ./integration/bench -works connections,requests-64,down-4,resets \
		-contestants whyreset-sockets,whyreset-packets,whyreset-witness,whyreset-both

lint: ## formatting, vet for each system, staticcheck, modules
	.ci/lint

ci: ## everything a change must pass; as root, since it installs packages
	.ci/run

record: ## as root: every scenario played anew with all sources, and the pages made from what was recorded
	WHYRESET_LAB=here go test ./integration -run 'TestStoredRuns$$' -record -count=1
	go test ./diagnose/cause -run TestReadme -update -count=1

fuzz: ## each fuzz test for FUZZTIME (10m); prints its figures
	.ci/fuzz $(or $(FUZZTIME),10m)
