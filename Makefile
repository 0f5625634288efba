# make demo   set up what is missing, fine-tune on real images, evaluate, infer
# make test   every test, on every driver that can be had here
# make check  formatting and lints

.PHONY: demo test check build drivers

build:
	scripts/setup.sh
	cargo build --release --locked

demo: build
	scripts/demo.sh

drivers:
	scripts/setup.sh --all-drivers

test: drivers
	scripts/test.sh

check:
	cargo fmt --check
	cargo clippy --release --locked --all-targets -- -D warnings
