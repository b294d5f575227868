# `make test` does all it needs on a machine with Python, make and a C compiler (pure without one).
# Say which Python with PYTHON=..., where the environment goes with VENV=...

VENV ?= .venv
PYTHON ?= python3
COMPILE ?= auto # auto, yes or no: test the codecs compiled as well as pure
PYTEST_OPTIONS ?=
WORKERS ?= auto # how many processes run the tests; auto: three for every two cores
FUZZ_SECONDS ?= 600 # for `make fuzz`
STORM_SECONDS ?= 600 # for `make storm`
BENCH ?= # options of `make bench`, such as BENCH="--help"

python := $(VENV)/bin/python
pytest := $(python) -m pytest --numprocesses=$(strip $(WORKERS)) --dist=loadfile --no-loadscope-reorder
compile := $(strip $(COMPILE))
fuzz_seconds := $(strip $(FUZZ_SECONDS))
storm_seconds := $(strip $(STORM_SECONDS))
pip := $(python) -m pip --disable-pip-version-check --no-input
of_codecs := tests/protocols tests/adapters tests/fuzz tests/test_docs.py
codecs := $(wildcard protocols/*.py protocols/*.pxd protocols/*/*.py protocols/*/*.pxd)
say := @printf '\n==> %s\n'

# Else every process of a run would compile the tests anew.
unexport PYTHONDONTWRITEBYTECODE
MAKEFLAGS += --no-print-directory
.DELETE_ON_ERROR:
.DEFAULT_GOAL := help
.PHONY: help test bench lint lint-ruff lint-format lint-mypy lint-pyright fuzz fuzz-asan storm wheels compiled clean
.NOTPARALLEL:

help: ## say what can be made
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' Makefile | expand -t 12

test: $(VENV)/.with-test $(VENV)/.with-fuzz ## run all tests, on compiled and on pure codecs, then fuzz for a few seconds
	$(say) 'looking for the servers that the tests talk to'
	@$(python) -m tests.servers
	@if [ '$(compile)' = no ]; then missing='COMPILE=no'; \
	elif [ '$(compile)' = yes ]; then missing=; \
	else missing=$$($(python) -m tests.project); fi; \
	if [ -z "$$missing" ]; then \
		$(MAKE) compiled && \
		printf '\n==> testing on the compiled codecs\n' && \
		$(pytest) --codecs=compiled $(PYTEST_OPTIONS) && \
		printf '\n==> testing on the pure codecs what knows a codec\n' && \
		$(pytest) --codecs=pure $(PYTEST_OPTIONS) $(of_codecs); \
	else \
		printf '\n==> testing pure Python only: %s\n' "$$missing" && \
		$(pytest) --codecs=pure $(PYTEST_OPTIONS); \
	fi
	@if [ -s $(VENV)/.with-fuzz ]; then \
		cat $(VENV)/.with-fuzz; \
	else \
		printf '\n==> fuzzing each target for a few seconds\n' && \
		$(python) -m tests.fuzz --seconds 5; \
	fi

bench: $(VENV)/.with-bench ## run the benchmarks, with the options in BENCH
	@missing=$$($(python) -m tests.project) && $(MAKE) compiled || \
	{ [ -n "$$missing" ] && printf '\n==> timing pure Python only: %s\n' "$$missing"; }
	@$(python) -m benchmarks $(BENCH)

lint: lint-ruff lint-format lint-mypy lint-pyright ## check style and types (with -k all of them, whatever fails)

lint-ruff: $(VENV)/.with-lint
	$(say) 'ruff check'
	@$(python) -m ruff check

lint-format: $(VENV)/.with-lint
	$(say) 'ruff format --check'
	@$(python) -m ruff format --check

lint-mypy: $(VENV)/.with-lint
	$(say) 'mypy --strict'
	@$(python) -m mypy

lint-pyright: $(VENV)/.with-lint
	$(say) 'pyright'
	@$(python) -m pyright --pythonpath $(python)

fuzz: $(VENV)/.with-fuzz ## fuzz each target for FUZZ_SECONDS
	@if [ -s $(VENV)/.with-fuzz ]; then cat $(VENV)/.with-fuzz; exit 1; fi
	$(say) 'fuzzing each target for $(fuzz_seconds) seconds'
	@$(python) -m tests.fuzz --seconds $(fuzz_seconds)

fuzz-asan: $(VENV)/.with-fuzz ## fuzz the compiled codecs under the address sanitizer
	@if [ -e tests/fuzz/asan.sh ]; then PYTHON=$(python) bash tests/fuzz/asan.sh; \
	else $(python) -m tests.fuzz.asan; fi

storm: $(VENV)/.with-test ## cut and spoil MQTT's connections for STORM_SECONDS, and end its broker
	$(say) 'MQTT in bad weather for $(storm_seconds) seconds'
	@$(python) -m tests.interop.mqtt.storm --seconds $(storm_seconds)

wheels: $(VENV)/.with-test ## build the sdist, and from it the pure and the compiled wheel, into dist/
	@rm -rf dist
	$(say) 'building the sdist'
	@WIREKIT_SKIP_CYTHON=1 $(python) -m build --no-isolation --sdist
	$(say) 'building the pure wheel from it'
	@WIREKIT_SKIP_CYTHON=1 $(pip) --no-cache-dir wheel --no-deps --no-build-isolation --wheel-dir dist dist/*.tar.gz
	$(say) 'building the compiled wheel from it'
	@WIREKIT_REQUIRE_CYTHON=1 $(pip) --no-cache-dir wheel --no-deps --no-build-isolation --wheel-dir dist dist/*.tar.gz
	@ls -l dist

compiled: $(VENV)/.compiled # compile the codecs beside their sources

clean: ## remove what was built, but for the environment
	@rm -rf build dist results src/*.egg-info .mypy_cache .pytest_cache .ruff_cache .hypothesis
	@rm -f $(VENV)/.compiled
	@find -H protocols -name '*.so' -delete

# The environment ------------------------------------------------------------------------------

$(VENV)/pyvenv.cfg:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	{ echo 'wirekit needs Python 3.11 or newer: say which with PYTHON=...'; exit 1; }
	$(say) "creating $(VENV) with $$($(PYTHON) --version)"
	@$(PYTHON) -m venv $(VENV)

# Editable, so the compiled modules come beside the sources, from their own rule.
$(VENV)/.with-%: pyproject.toml setup.py | $(VENV)/pyvenv.cfg
	$(say) 'installing wirekit[$*] into $(VENV)'
	@WIREKIT_SKIP_CYTHON=1 $(pip) install --editable '.[$*]'
	@touch $@

# Empty, or why there is no fuzzing. (A build of atheris from source needs clang's libFuzzer.)
$(VENV)/.with-fuzz: $(VENV)/.with-test
	$(say) 'installing wirekit[fuzz] into $(VENV)'
	@if WIREKIT_SKIP_CYTHON=1 $(pip) install --only-binary atheris --editable '.[fuzz]'; then : > $@; else \
		echo '==> no fuzzing: atheris has no wheel for this Python here; pytest replays the corpus' > $@; fi

# Without symbols for a debugger, which take a third of the time.
$(VENV)/.compiled: $(codecs) $(VENV)/.with-test
	$(say) 'compiling the codecs with Cython'
	@CFLAGS="$$CFLAGS -g0" WIREKIT_REQUIRE_CYTHON=1 $(python) setup.py --quiet build_ext --inplace
	@touch $@
