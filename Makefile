# Every target works on a fresh machine with Python 3.11, g++, make and perl: the virtual environment is made here.
PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV := .venv
BIN := $(VENV)/bin
SUM := $(shell cksum pyproject.toml | cut -d' ' -f1)
STAMP := $(VENV)/.made-from-$(SUM)
COMPARE := $(VENV)/.compare-from-$(SUM)
TORCH := $(VENV)/.torch-from-$(SUM)
FPGA := $(VENV)/.fpga-from-$(SUM)
GPU := $(VENV)/.gpu-from-$(SUM)
CROSS := $(VENV)/.cross-from-$(SUM)
WORKERS ?= 2

.DEFAULT_GOAL := help
.PHONY: help setup demo test conform agreement cocotb bench acceptance gpu torch compare cross fuzz fmax verilog docs clean

help: ## lists the targets
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 14

$(STAMP): pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "weft needs Python 3.11 or newer: make PYTHON=/path/to/python3.11" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[test]'
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps "pyverilator==0.7.0"
	@rm -f $(VENV)/.made-from-* && touch $@

$(COMPARE): $(STAMP)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[compare]'
	@rm -f $(VENV)/.compare-from-* && touch $@

$(TORCH): $(STAMP)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[torch]'
	@rm -f $(VENV)/.torch-from-* && touch $@

$(GPU): $(STAMP)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[gpu]'
	@rm -f $(VENV)/.gpu-from-* && touch $@

$(FPGA): $(STAMP)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[fpga]'
	@rm -f $(VENV)/.fpga-from-* && touch $@

$(CROSS): $(STAMP)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[cross]'
	@rm -f $(VENV)/.cross-from-* && touch $@

setup: $(STAMP) ## makes .venv, with .venv/bin/weft in it

demo: setup ## compiles the digits network, runs it on RTL, compares, reports
	$(BIN)/python -m examples.digits.demo

test: setup ## passes every test
	$(BIN)/python -m pytest -n $(WORKERS) --dist loadgroup -q -m "not models and not runtimes and not networks and not cross"

conform: setup ## runs the conformance programs on every device, and compares the timing model's cycles with RTL's
	$(BIN)/weft conform tests/vectors --device functional
	$(BIN)/weft conform tests/vectors --device rtl
	$(BIN)/weft conform tests/vectors --device timing --against rtl

agreement: setup ## the timing model against RTL on vectors, 10,000 random programs and whole networks, at 3 latencies and 2 buses: half an hour
	$(BIN)/python -m tests.agreement

cocotb: setup ## runs whole networks in cocotb against the RTL
	$(BIN)/python -m tests.cocotb.networks

bench: setup $(COMPARE) ## measures: cycles a second of the RTL, utilisation of networks, the CPU beside ONNX Runtime
	$(BIN)/python -m benchmarks.run

acceptance: setup $(COMPARE) ## the trained networks of WEFT_MODELS, and operators against ONNX Runtime and LiteRT, whole networks at 224x224
	$(BIN)/python -m pytest -n $(WORKERS) -q -m "models or runtimes or networks" --durations=5

torch: setup $(TORCH) ## installs PyTorch, and passes the tests of its frontend
	$(BIN)/python -m pytest -n $(WORKERS) -q -m torch

gpu: setup $(GPU) ## on a machine with an NVIDIA GPU: installs the driver's bindings, runs networks there, and times layers beside PyTorch's
	$(BIN)/python -m pytest -q -m gpu
	$(BIN)/python -m benchmarks.gpu_layers

compare: setup $(COMPARE) ## how far operators are from ONNX Runtime and LiteRT: the table of docs/numerics.md
	$(BIN)/python -m tests.compiler.runtimes

fuzz: setup ## random programs and convolutions on all devices, for longer than make test
	WEFT_FUZZ_EXAMPLES=2000 $(BIN)/python -m pytest -n $(WORKERS) -q -k "random or property"

fmax: setup $(FPGA) ## places and routes the GEMM core with its memories, 8x8, on an ECP5 FPGA: its clock and resources
	$(BIN)/weft fmax --config 1x8x8 --part core -o build/fmax --at-least 95

cross: setup $(CROSS) ## libraries for aarch64, armv7 and riscv64, linked and run under qemu-user, which the system must have
	@for machine in aarch64 arm riscv64 x86_64; do command -v qemu-$$machine-static >/dev/null || command -v qemu-$$machine >/dev/null || \
	{ echo "no qemu-$$machine: apt-get install qemu-user-static, or your system's package of qemu-user" >&2; exit 1; }; done
	$(BIN)/python -m pytest -q -rs -m cross

verilog: setup ## Verilog of the default configuration, in build/verilog
	$(BIN)/weft verilog -o build/verilog

docs: setup ## docs/isa.md from the table
	$(BIN)/python -m weft.isa.manual > docs/isa.md.new && mv docs/isa.md.new docs/isa.md

clean: ## removes what was built here
	rm -rf $(VENV) build .pytest_cache .hypothesis
