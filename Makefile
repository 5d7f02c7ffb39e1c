# Heddle's everyday commands; 'make' alone lists them. Packages are installed where they are missing.
.DEFAULT_GOAL := help
.PHONY: help run build test bench fuzz lint format clean install-packages toolchain
.DELETE_ON_ERROR:

export PATH := $(PATH):/opt/swift/usr/bin:$(HOME)/.local/share/swiftly/bin:/usr/sbin:/sbin
# A password prompt or a dialogue of a package would stop a build that nobody watches.
export DEBIAN_FRONTEND := noninteractive
# Of a package its programs are wanted, not its service: systemctl then starts nothing.
export SYSTEMD_OFFLINE := 1

FILE ?= topologies/quickstart.yaml
FUZZ_RUNS ?= 1000000
# What 'make test' runs after the tests: each is a command that fails when something is wrong.
GATES := Tests/Gate/run.sh Tests/Fuzz/smoke.sh

packages := git pkg-config libmnl-dev libpcap-dev iproute2 iputils-ping
test: packages += tshark curl ethtool openvswitch-switch vde2 dpdk-dev librte-net-virtio23
# What draws graphs, and of prometheus the program promtool.
test: packages += graphviz prometheus
# Virtual machines: the emulators, and what Tests/Guests/build.sh makes their images with.
test: packages += qemu-system-x86 qemu-system-arm seabios ipxe-qemu gcc libc6-dev cpio xz-utils \
	lz4 zstd kmod
bench: packages += tcpdump openvswitch-switch openvswitch-switch-dpdk vde2 iperf3 ethtool \
	dpdk-dev libdpdk-dev librte-net-vhost23 librte-net-virtio23

help: ## List these commands
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-18s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

run: build ## Build and run a switch with four hosts, in a sandbox (FILE=… for another topology)
	@exec .build/release/heddle run --sandbox --report $(FILE)

build: install-packages toolchain ## Build .build/release/heddle
	@swift build -c release --product heddle

test: install-packages toolchain ## Run every test, then the gates
	@swift build --build-tests
	@swift test --skip-build
	@$(foreach gate,$(GATES),echo "gate: $(gate)" && $(gate) &&) \
		echo "make test: all tests and $(words $(GATES)) gates passed"

bench: install-packages toolchain ## Compare with other switches and C (FULL=1, ONLY=tap-tcp,aa-*)
	@Tests/Bench/run.sh $(if $(FULL),--full) $(if $(ONLY),--only '$(ONLY)')

fuzz: toolchain ## Fuzz the parsers and the forwarding function (FUZZ_RUNS=1000000 each)
	@Tests/Fuzz/run.sh $(FUZZ_RUNS)

lint: toolchain ## Say where the style is not kept
	@swift format lint --strict --parallel --recursive Package.swift Sources Tests
	@echo "make lint: nothing to say"

format: toolchain ## Bring the sources into style
	@swift format --in-place --parallel --recursive Package.swift Sources Tests

clean: ## Remove what was built
	@rm -rf .build

# Asks for no privilege and no network when nothing is missing.
install-packages: ## Install the Debian packages that are missing
	@command -v dpkg-query >/dev/null || { \
		echo "note: no Debian packages here; install what your system calls: $(packages)"; exit 0; }; \
	missing=; for package in $(packages); do \
		case $$(dpkg-query -W -f '$${db:Status-Abbrev}' $$package 2>/dev/null) in \
			ii*) ;; *) missing="$$missing $$package";; esac; done; \
	[ -n "$$missing" ] || exit 0; \
	root=; if [ "$$(id -u)" -ne 0 ]; then command -v sudo >/dev/null || { \
		echo "make: missing packages, and no sudo; as root: apt-get install$$missing" >&2; \
		exit 1; }; root="sudo env DEBIAN_FRONTEND=noninteractive SYSTEMD_OFFLINE=1"; fi; \
	install="apt-get install -y -qq --no-install-recommends$$missing"; \
	echo "installing:$$missing"; \
	$$root $$install >/dev/null 2>&1 || { $$root apt-get update -qq && $$root $$install; } || { \
		echo "make: could not install$$missing; see apt-get's words above" >&2; exit 1; }

toolchain:
	@command -v swift >/dev/null || { \
		echo "make: no swift: install Swift $$(cat .swift-version) (https://swift.org/install)," \
			"or put it on PATH" >&2; exit 1; }
