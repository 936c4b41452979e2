# The verbs. `make` lists them.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help

export CARGO_TERM_COLOR ?= auto
# Where rustup puts a Rust that `make setup` had to install.
export PATH := $(HOME)/.cargo/bin:$(PATH)
TARGET := $(or $(CARGO_TARGET_DIR),target)
REEVE  := $(TARGET)/debug/reeve
PART   = ./deploy/part

help: ## list the verbs
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## (.*)/  make \1\t\2/' | column -t -s "$$(printf '\t')"

setup: ## install what is missing: Rust and a C linker
	@./deploy/setup

build: setup ## build the `reeve` command
	@cargo build --package reeve

run: build ## start Reeve with a small simulated fleet; one version goes bad and is dealt with
	@exec $(REEVE) up --fleet bad-deploy

test: setup ## everything, part by part, each with its time
	@$(PART) "build"      cargo build --package reeve
	@$(PART) "build tests" cargo test --workspace --no-run
	@$(PART) "tidy"       cargo test --package tidy
	@$(PART) "wire"       cargo test --package wire
	@$(PART) "machine"    cargo test --package machine
	@$(PART) "runtime"    cargo test --package runtime
	@$(PART) "gateway"    cargo test --package gateway
	@$(PART) "incident"   cargo test --package incident
	@$(PART) "rollback"   cargo test --package rollback
	@$(PART) "laws"       cargo test --package laws
	@$(PART) "scenarios"  cargo test --package scenarios
	@$(PART) "simulation" cargo test --package sim
	@$(PART) "command"    cargo test --package reeve
	@$(PART) "recordings and end to end" cargo test --package real -- --nocapture
	@$(PART) --summary

lint: setup ## formatting and clippy
	@cargo fmt --all --check
	@cargo clippy --workspace --all-targets -- --deny warnings

sim: setup ## many seeds of the simulation: make sim SEEDS=10000, or one: make sim SEED=42
	@cargo run --package sim -- $(if $(SEED),--seed $(SEED),--seeds $(or $(SEEDS),2000))

clean: ## remove what was built; recorded logs in ./data stay
	@cargo clean

.PHONY: help setup build run test lint sim clean
