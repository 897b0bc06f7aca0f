# The few commands that a person or CI starts from. `make help` lists them.
.DEFAULT_GOAL := help
.PHONY: help cuda build test lint demo bench bench-speech bench-shots bench-index bench-embed bench-process bench-many bench-render clean-demo setup

CARGO ?= cargo

help: ## list these targets
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1  \2/p' $(MAKEFILE_LIST)

setup: ## install what building and testing need (Debian, Ubuntu)
	@scripts/setup

build: setup ## build the command line (development profile)
	$(CARGO) build --locked -p rushes-cli

# CUDA_ARCH: which GPUs machine code is made for: 80 (A100), 86, 89 (RTX 30, 40), 90 (H100, H200).
CUDA_ARCH ?= 90
CUDA_DIR := $(abspath $(or $(CARGO_TARGET_DIR),target))/cuda

cuda: setup ## build the command line with CUDA (assembles a toolkit; half an hour of two cores)
	scripts/cuda-toolkit $(CUDA_DIR)/toolkit
	scripts/cuda-stand-ins $(CUDA_DIR)/toolkit $(CUDA_DIR)/stand-ins
	CUDA_HOME=$(CUDA_DIR)/toolkit CUDA_PATH=$(CUDA_DIR)/toolkit PATH="$(CUDA_DIR)/toolkit/bin:$$PATH" \
	CUDACXX=$(CUDA_DIR)/toolkit/bin/nvcc LIBRARY_PATH=$(CUDA_DIR)/stand-ins \
	CUDA_COMPUTE_CAP=$(CUDA_ARCH) CMAKE_CUDA_ARCHITECTURES=$(CUDA_ARCH)-real \
	$(CARGO) build --locked -p rushes-cli --features cuda

test: setup ## run every test
	$(CARGO) test --workspace --locked

lint: setup ## check formatting, lints, floors and licences
	$(CARGO) fmt --all --check
	$(CARGO) clippy --workspace --all-targets --locked -- -D warnings
	scripts/check-floors --self-test
	scripts/check-floors
	scripts/check-licences --self-test
	scripts/check-licences
	scripts/check-kernels --fetch --quick

demo: build ## fetch a short film and a narration, and process them
	@CARGO="$(CARGO)" scripts/demo

bench: setup ## build for release and compare with peers
	$(CARGO) build --release --locked -p rushes-cli
	python3 benches/run.py

bench-speech: setup ## build for release and compare speech to text with peers
	$(CARGO) build --release --locked -p rushes-cli -p rushes-benches --bins
	python3 benches/speech.py

bench-shots: setup ## build for release and compare shot detection with peers
	$(CARGO) build --release --locked -p rushes-cli
	python3 benches/shots.py

bench-index: setup ## build for release and compare the vector index with peers
	$(CARGO) build --release --locked -p rushes-benches --bin rushes-vectors
	python3 benches/index.py

bench-embed: setup ## build for release and compare text embedding with peers
	$(CARGO) build --release --locked -p rushes-benches --bin rushes-embed
	python3 benches/embed.py

bench-process: setup ## build for release and compare the main job with separate tools
	$(CARGO) build --release --locked -p rushes-cli
	python3 benches/process.py

bench-many: setup ## build for release and put 1000 small films into one library
	$(CARGO) build --release --locked -p rushes-cli
	python3 benches/many.py

PEERS ?= $(or $(CARGO_TARGET_DIR),target)/bench-peers

bench-render: setup ## build for release and compare rendering with ffmpeg, MoviePy, melt, auto-editor
	$(CARGO) build --release --locked -p rushes-cli
	@command -v melt >/dev/null || apt-get install -y -q melt || echo "no melt here: left out" >&2
	@test -x $(PEERS)/bin/python || python3 -m venv $(PEERS)
	@$(PEERS)/bin/pip install -q moviepy || echo "no MoviePy here: left out" >&2
	@$(PEERS)/bin/pip install -q auto-editor || echo "no auto-editor here: left out" >&2
	python3 benches/render.py \
	    $$($(PEERS)/bin/python -c 'import moviepy' 2>/dev/null && echo --moviepy $(PEERS)/bin/python) \
	    $$(test -x $(PEERS)/bin/auto-editor && echo --auto-editor $(PEERS)/bin/auto-editor)

clean-demo: ## remove what `make demo` made
	rm -rf demo
