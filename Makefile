# The chores, each a line or a script in scripts/. `make` alone lists them.

.PHONY: help setup assets demo test check bench bench-send bench-queue bench-pages crash-storm nodes pace-sample fuzz release docs
.DEFAULT_GOAL := help

help:     ## list the chores
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-11s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup:    ## install what a build needs, if it is missing
	@scripts/setup

assets: setup ## fetch the front-end libraries that are built in
	@scripts/assets

demo: assets ## build Rebound and try it against a pretend internet
	cargo run --locked -p rebound -- demo

# Most tests wait most of the time.
test: assets ## run every test, two at a time on each core
	@scripts/setup test
	@scripts/assets test
	RUST_TEST_THREADS=$${RUST_TEST_THREADS:-$$((2 * $$(getconf _NPROCESSORS_ONLN)))} cargo test --locked --workspace

check: assets ## formatting, lints, licences, documentation
	cargo fmt --all --check
	cargo clippy --locked --workspace --all-targets -- -D warnings
	cargo test --locked --workspace --test house
	RUSTDOCFLAGS="-D warnings" cargo doc --locked --workspace --no-deps

bench: assets ## measure importing, sending and classifying
	@scripts/setup bench
	@scripts/bench

bench-send: assets ## measure sending, beside smtp-source, on both databases
	@scripts/setup bench
	@scripts/setup test
	@scripts/bench-send

bench-queue: assets ## measure the queue after 500 campaigns and at 1,000,000 recipients, on both databases
	@scripts/setup bench
	@scripts/setup test
	@scripts/bench-queue

bench-pages: assets ## measure the pages over a million contacts, on both databases
	@scripts/setup test
	@scripts/bench-pages

crash-storm: assets ## end processes at random for MINUTES=10, and compare the books; SEED= blows again
	@scripts/setup test
	@scripts/crash-storm

nodes: assets ## kill, hang and cut off four workers on one PostgreSQL for MINUTES=10, and check who had what
	@scripts/setup test
	@scripts/nodes

pace-sample: assets ## send a hundredth of the simulated year by the program itself, beside the simulation
	@scripts/setup test
	@scripts/pace-sample

fuzz:     ## throw hostile input at the classifier; installs cargo-fuzz with cargo if it is missing
	@scripts/fuzz

release: assets ## build the program as it is shipped: target/release/rebound
	cargo build --locked --release -p rebound

docs:     ## build the book and the API pages
	@scripts/docs
