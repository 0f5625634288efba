# make demo    install what is missing, fine-tune on real images, evaluate, infer
# make test    every test, on every driver that this machine can have
# make verify  every kernel and every negative control on every adapter, with the built program; the report is target/verify.json,
#              and target/verify-lavapipe-26.json of the kernels for cooperative matrices
# make check   formatting and lints, the library without the program, and the licences and sources of what is linked
# make web     the page that verifies and uses a GPU in a browser, into target/web
# make fuzz    each fuzz target for a minute, with a nightly compiler
# make miri    the unit tests of what reads bytes from outside, interpreted by Miri
# make campaigns  every fault, kill and full disk that docs/internals/reliability.md counts
# make other-systems   type-check for Windows and macOS, if rustup can fetch their standard libraries

.PHONY: demo test verify check build drivers other-systems web fuzz miri campaigns

build:
	scripts/setup.sh
	cargo build --release --locked

demo: build
	scripts/demo.sh

drivers:
	scripts/setup.sh --all-drivers

test: drivers
	scripts/test.sh

verify: drivers build
	scripts/with-drivers.sh target/release/gpu-resnet verify --all-adapters --suite kernels --report target/verify.json
	if scripts/drivers.sh lavapipe-26; then scripts/with-drivers.sh --only lavapipe-26 target/release/gpu-resnet verify \
		--suite kernels --filter '=cooperative' --report target/verify-lavapipe-26.json; fi

check:
	cargo fmt --check
	cargo fmt --check --manifest-path python/Cargo.toml
	cargo fmt --check --manifest-path web/Cargo.toml
	cargo clippy --release --locked --all-targets -- -D warnings
	cargo check --release --locked --lib --no-default-features
	scripts/deny.sh

fuzz:
	scripts/fuzz.sh

miri:
	scripts/miri.sh

campaigns:
	scripts/campaigns.sh

web:
	scripts/web.sh

other-systems:
	scripts/check-other-systems.sh
