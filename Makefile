# Everything a visitor or a developer runs. `make` alone lists the targets.

PYTHON ?= $(shell command -v python3.11 || command -v python3)
UV_VERSION := 0.13.9

VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed

# The CUDA compilers are large, and only `make kernels` needs them.
KERNEL_VENV := build/kernels-venv
KERNELS_INSTALLED := $(KERNEL_VENV)/.installed

# atheris, which only `make fuzz-coverage` needs.
FUZZ_VENV := build/fuzz-venv
FUZZ_INSTALLED := $(FUZZ_VENV)/.installed

PYTEST_WORKERS ?= 2
FUZZ ?= 200
FUZZ_INPUTS ?= 1000000
FUZZ_SECONDS ?= 600
FUZZ_TARGETS := circuit statement proof file sealed_file arrays ledger formula elements verifier whole
DEMO_FOLDER ?= demo-run

.PHONY: help venv demo test test-slow frozen fuzz fuzz-coverage mutants bench kernels lint format lock clean

help:
	@echo "make demo       install, train and prove 16 steps on digits, verify, print one table"
	@echo "make test       the fast test suite"
	@echo "make test-slow  the tests that take minutes"
	@echo "make fuzz       many times the structured fuzzing of the fast suite (an hour)"
	@echo "make fuzz-coverage  fuzzing that follows the coverage of the code, each target for FUZZ_SECONDS"
	@echo "make mutants    remove each check of the verifier in turn, and see what notices (hours)"
	@echo "make frozen     prove the frozen proofs again, after a change of the format"
	@echo "make bench      the training block of a digits network, timed by phase"
	@echo "make kernels    compile the Pallas kernels to machine code, without a GPU"
	@echo "make lint       ruff and mypy"
	@echo "make format     ruff's formatter and its safe fixes"
	@echo "make lock       resolve the lock files again"

venv: $(INSTALLED)

# The environment is exactly the lock file, checked by hash, and this checkout in place.
$(INSTALLED): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11))' \
		|| { echo "zkjax needs Python 3.11; name one with: make PYTHON=/path/to/python3.11" >&2; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "Installing the locked packages into $(VENV)"
	@$(BIN)/python -m pip install --quiet --quiet --disable-pip-version-check --no-compile \
		--require-hashes --requirement requirements.lock
	@$(BIN)/python -m pip install --quiet --quiet --disable-pip-version-check \
		--no-deps --no-build-isolation --editable .
	@touch $(INSTALLED)

demo: $(INSTALLED)
	@$(BIN)/python examples/demo.py $(DEMO_FOLDER)

test: $(INSTALLED)
	$(BIN)/python -m pytest -n $(PYTEST_WORKERS) --dist loadgroup -m "not slow"

test-slow: $(INSTALLED)
	$(BIN)/python -m pytest -m slow

fuzz: $(INSTALLED)
	$(BIN)/python -m tests.fuzzing.run --inputs $(FUZZ_INPUTS) --seconds $(FUZZ_SECONDS)
	$(BIN)/python -m tests.fuzzing.million --inputs $(FUZZ_INPUTS) --seconds $(FUZZ_SECONDS)
	ZKJAX_FUZZ=$(FUZZ) $(BIN)/python -m pytest tests/soundness/test_fuzzing.py

$(FUZZ_INSTALLED): requirements-fuzz.lock
	@mkdir -p build
	@test -x $(FUZZ_VENV)/bin/python || $(PYTHON) -m venv $(FUZZ_VENV)
	@$(FUZZ_VENV)/bin/python -m pip install --quiet --quiet --disable-pip-version-check \
		--require-hashes --requirement requirements-fuzz.lock
	@touch $(FUZZ_INSTALLED)

fuzz-coverage: $(FUZZ_INSTALLED)
	for target in $(FUZZ_TARGETS); do \
		$(FUZZ_VENV)/bin/python -m tests.fuzzing.coverage $$target -max_total_time=$(FUZZ_SECONDS) || exit 1; \
	done

mutants: $(INSTALLED)
	$(BIN)/python -m tests.mutation.run

frozen: $(INSTALLED)
	$(BIN)/python -m tests.vectors.make_proofs

bench: $(INSTALLED)
	$(BIN)/python benchmarks/training_block.py --inputs 64 --width 128 --layers 3 --classes 10 \
		--batch 64 --steps 16

$(KERNELS_INSTALLED): requirements-kernels.lock
	@mkdir -p build
	@test -x $(KERNEL_VENV)/bin/python || $(PYTHON) -m venv $(KERNEL_VENV)
	@echo "Installing the CUDA compilers into $(KERNEL_VENV)"
	@$(KERNEL_VENV)/bin/python -m pip install --quiet --quiet --disable-pip-version-check --no-compile \
		--require-hashes --requirement requirements-kernels.lock
	@touch $(KERNELS_INSTALLED)

kernels: $(KERNELS_INSTALLED)
	$(KERNEL_VENV)/bin/python -m pallas_kernels.offline

lint: $(INSTALLED)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: $(INSTALLED)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

RESOLVE = build/uv/bin/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
	--no-emit-index-url --custom-compile-command "make lock"

lock:
	@mkdir -p build
	@test -x build/uv/bin/uv || $(PYTHON) -m venv build/uv
	@build/uv/bin/python -m pip install --quiet --quiet --disable-pip-version-check uv==$(UV_VERSION)
	$(RESOLVE) --extra dev --no-emit-package zkjax pyproject.toml --output-file requirements.lock
	$(RESOLVE) --constraint requirements.lock requirements-kernels.in --output-file requirements-kernels.lock
	$(RESOLVE) --constraint requirements.lock requirements-fuzz.in --output-file requirements-fuzz.lock

clean:
	rm -rf $(VENV) build dist $(DEMO_FOLDER) .pytest_cache .ruff_cache .mypy_cache .hypothesis
