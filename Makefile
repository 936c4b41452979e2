# The verbs. `make` lists them.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help

export CARGO_TERM_COLOR ?= auto
# Where rustup puts a Rust that `make setup` had to install.
export PATH := $(HOME)/.cargo/bin:$(PATH)

TARGET := $(or $(CARGO_TARGET_DIR),target)
REEVE  := $(TARGET)/debug/reeve
PART   := ./deploy/part
# The simulator compiles switches into the rooms that break their rules on purpose: it is built by itself, so that
# nothing else ever holds them.
# The benchmarks are measured in a release build, and their rivals' libraries are built by nothing else.
HOUSE  := --workspace --exclude sim --exclude bench

# Each a program of its own.
SERVICES := --package gateway --package incident --package rollback --package escalation --package capacity --package audit

help: ## list the verbs
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## (.*)/  make \1\t\2/' | column -t -s "$$(printf '\t')"

setup: ## install what is missing: Rust and a C linker
	@./deploy/setup

build: setup ## build the `reeve` command
	@cargo build --package reeve

run: build ## start Reeve with a small simulated fleet; one version goes bad and is dealt with
	@exec $(REEVE) up --fleet bad-deploy

test: setup ## everything, part by part, each with its time
	@./deploy/setup --tests
	@$(PART) --begin
	@$(PART) "build: command, services"  cargo build --package reeve $(SERVICES)
	@$(PART) "build: tests"              cargo test $(HOUSE) --no-run
	@$(PART) "build: simulation"         cargo test --package sim --package runtime --no-run
	@$(PART) "style"                     cargo test $(HOUSE) --test tidy
	@$(PART) "rooms: unit tests"         cargo test $(HOUSE) --lib --bins
	@$(PART) "rooms: wire"               cargo test $(HOUSE) --test wire
	@$(PART) "rooms: log, pump and room" cargo test $(HOUSE) --test log --test pump --test room --test durable --test signals
	@$(PART) "rooms: gateway"            cargo test $(HOUSE) --test gateway
	@$(PART) "rooms: gateway attacked"   cargo test $(HOUSE) --test hostile -- --nocapture
	@$(PART) "rooms: laws and stories"   cargo test $(HOUSE) --test laws --test stories --test escalation
	@$(PART) "simulation"                cargo test --package sim --package runtime --lib --test sim --test mutants -- --nocapture
	@$(PART) "false alarms"              cargo test $(HOUSE) --test seasons -- --nocapture
	@$(PART) "end to end: command"       cargo test $(HOUSE) --test cli --test policy --test fleet
	@$(PART) "end to end: archive"       cargo test $(HOUSE) --test audit -- --nocapture
	@$(PART) "end to end: keys"          cargo test $(HOUSE) --test keys
	@$(PART) "end to end: contract"      cargo test $(HOUSE) --test contract -- --nocapture
	@$(PART) "end to end: recordings"    cargo test $(HOUSE) --test real -- --nocapture
	@$(PART) "end to end: bucket"        ./deploy/bucket/bucket run cargo test $(HOUSE) --test pump foreign:: -- --nocapture
	@$(PART) "end to end: torture"       cargo test $(HOUSE) --test torture -- --nocapture --test-threads 1 --skip kafka::
	@KAFKA_SECURE=1 $(PART) "kafka: contract" ./deploy/kafka/kafka run cargo test $(HOUSE) --test kafka -- --nocapture
	@KAFKA_SECURE=1 $(PART) "kafka: command and examples" ./deploy/kafka/kafka run cargo test $(HOUSE) --test on_kafka -- --nocapture
	@$(PART) "kafka: kills and zombies"   ./deploy/kafka/kafka run cargo test $(HOUSE) --test torture kafka:: -- --nocapture --test-threads 1 --skip kafka::brokers
	@$(PART) --summary

torture: build ## ten times what `make test` bears: hostile input, 500 kills and 200 on Kafka, 6,000 altered logs, a minute of overload
	@$(PART) --begin
	@REEVE_TORTURE=full $(PART) "bad input: Avro"  cargo test $(HOUSE) --test wire hostile -- --nocapture
	@REEVE_TORTURE=full $(PART) "bad input: rooms" cargo test $(HOUSE) --test laws hostile -- --nocapture
	@REEVE_TORTURE=full $(PART) "bad input: HTTP" cargo test $(HOUSE) --test hostile -- --nocapture
	@REEVE_TORTURE=full $(PART) "kills, disks, overload" cargo test $(HOUSE) --test torture -- --nocapture --test-threads 1 --skip kafka::
	@REEVE_TORTURE=full $(PART) "requests held on Kafka" ./deploy/kafka/kafka run cargo test $(HOUSE) --test kafka holes -- --nocapture
	@REEVE_TORTURE=full REEVE_PART_LIMIT_S=10800 $(PART) "kills and zombies on Kafka" ./deploy/kafka/kafka run cargo test $(HOUSE) --test torture kafka:: -- --nocapture --test-threads 1 --skip kafka::brokers
	@REEVE_TORTURE=full KAFKA_NODES=3 $(PART) "brokers fall" ./deploy/kafka/kafka run cargo test $(HOUSE) --test torture kafka::brokers -- --nocapture --test-threads 1
	@$(PART) --summary

lint: setup ## formatting and clippy
	@cargo fmt --all --check
	@cargo clippy --workspace --all-targets -- --deny warnings

sim: setup ## many seeds of the simulation: make sim SEEDS=100000, FROM=5000 on, or one with its trace: make sim SEED=42
	@cargo run --package sim -- $(if $(SEED),--seed $(SEED),--seeds $(or $(SEEDS),2000) --from $(or $(FROM),0))

sim-meta: setup ## a few seeds of the simulation twice each: their traces must not differ in a byte
	@cargo run --package sim -- --meta $(or $(SEEDS),20)

bench: setup ## the price of each event, in rounds that take turns: make bench ROUNDS=7 (in a release build, on a machine that does nothing else)
	@cargo build --release --package reeve --package bench
	@cargo run --release --package bench -- --rounds $(or $(ROUNDS),7) --write deploy/BENCHMARKS.md

bench-kafka: setup ## the same on Apache Kafka: a broker of its own, each figure beside a client that only reads or commits
	@cargo build --release --package reeve --package bench
	@./deploy/kafka/kafka run cargo run --release --package bench -- --rounds $(or $(ROUNDS),7) --only kafka --write deploy/BENCHMARKS.md

alarms: setup ## false alarms in healthy years and detection of drops, beside Argo and Flagger: make alarms YEARS=1000 RUNS=1000
	@cargo run --release --package seasons -- --years $(or $(YEARS),1000) --runs $(or $(RUNS),1000) --write deploy/BENCHMARKS.md

kafka: ## start an Apache Kafka of one node on loopback, fetched once with Maven, and tell where it answers
	@./deploy/kafka/kafka start 1

kafka-cluster: ## the same with three nodes
	@./deploy/kafka/kafka start 3

kafka-stop: ## end it; its topics stay for the next start
	@./deploy/kafka/kafka stop

clean: ## remove what was built; recorded logs in ./data stay
	@cargo clean

.PHONY: help setup build run test torture lint sim sim-meta bench bench-kafka alarms kafka kafka-cluster kafka-stop clean
