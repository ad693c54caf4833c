# What a newcomer types. Everything is installed into .venv, from the lock, and nowhere else.
PYTHON ?= python3
PORT ?= 8080
VENV := .venv
BIN := $(VENV)/bin
TRAIN := build/train
SENTIMENT := functions/sentiment
PARITY ?= training
ONLY ?=
OURS := src tests functions loadtests
STAMP := $(VENV)/.installed
AWS := build/aws
PEERS := loadtests/peers
RACERS := $(basename $(notdir $(wildcard $(PEERS)/requirements/*.txt)))
MEDIUM := $(PEERS)/functions/medium
RACE ?=

.PHONY: help run install test test-slow test-registry test-aws aws-tools mutation check format lock models train parity figures lock-peers peers race

help: ## Say what there is
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F':.*## ' '{printf "  make %-14s %s\n", $$1, $$2}'

run: install ## Serve functions/sentiment on http://127.0.0.1:8080
	$(BIN)/servelite run $(SENTIMENT) --port $(PORT)

install: $(STAMP) ## Install what is locked into .venv

$(STAMP): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "servelite needs Python 3.11 or newer; $(PYTHON) is older. Try: make $(MAKECMDGOALS) PYTHON=python3.12" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

test: install ## Run the tests (two to four minutes; in two processes, for most of them wait for others)
	$(BIN)/python -m pytest --numprocesses 2 --dist loadscope -m "not training and not registry and not slow and not aws"

test-slow: install ## Run the tests that wait for deadlines, or make many calls
	$(BIN)/python -m pytest --numprocesses 2 --dist loadscope -m "slow and not alone"
	$(BIN)/python -m pytest -m "slow and alone"

test-registry: install ## Run the tests that need the package registry
	$(BIN)/python -m pytest -m registry

# AWS' tools pin other versions of what servelite uses, so each has a .venv of its own.
$(AWS)/%/.installed: tests/aws/%.lock $(STAMP)
	@rm -rf $(@D)
	$(BIN)/python -m venv $(@D)
	$(@D)/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r $<
	@touch $@

aws-tools: $(AWS)/sam/.installed $(AWS)/ministack/.installed ## Install AWS' own parts, as far as they run here, below build/aws

test-aws: aws-tools ## Run the tests that need AWS' own parts
	$(BIN)/python -m pytest -m aws

mutation: install ## Change the arithmetic of money in every small way, and see that the tests notice (a minute)
	$(BIN)/python tests/mutants.py

check: install ## Format, lint, types, import contracts, dependencies, spelling
	$(BIN)/ruff format --check $(OURS)
	$(BIN)/ruff check $(OURS)
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/deptry src
	$(BIN)/codespell

format: install ## Mend what a tool can mend
	$(BIN)/ruff check --fix $(OURS)
	$(BIN)/ruff format $(OURS)

lock: install ## Resolve the dependencies anew (names, versions and hashes only)
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --no-annotate \
	  --group dev -o requirements.lock pyproject.toml
	for list in functions/train-requirements tests/aws/sam tests/aws/ministack; do $(BIN)/uv pip compile --quiet --universal \
	  --python-version 3.11 --generate-hashes --no-header --no-annotate -o $$list.lock $$list.in; done

lock-peers: install ## Resolve anew what the race's contestants need
	for name in $(RACERS); do list=$(PEERS)/requirements/$$name; $(BIN)/uv pip compile --quiet --python-version 3.11 --no-header \
	  --no-annotate -o $$list.txt $$(ls $$list.in 2>/dev/null || echo pyproject.toml); done

# What making models needs besides .venv stands in a folder of its own, seen by what is run with it alone.
$(TRAIN)/.installed: functions/train-requirements.lock $(STAMP)
	@rm -rf $(TRAIN)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --target $(TRAIN) -r $<
	@touch $@

# $(call each,build): runs functions/*/build.py, or the one of ONLY
each = @set -e; for script in functions/$(or $(ONLY),*)/$(1).py; do module=$${script%.py}; \
  test -f $$script || { echo "There is no $$script." >&2; exit 1; }; \
  PYTHONPATH=$(CURDIR)/$(TRAIN):$$PYTHONPATH $(BIN)/python -m $$(echo $$module | tr / .); done

models: $(TRAIN)/.installed ## Make the models that come from packages, most not committed (ONLY=embed: that one)
	$(call each,build)
	$(BIN)/servelite install functions/$(ONLY)

train: $(TRAIN)/.installed ## Train the others from scratch; the same bytes each time (ONLY=spam: that one)
	$(call each,train)

parity: $(TRAIN)/.installed ## Hold models to their training and their cards
	PYTHONPATH=$(CURDIR)/$(TRAIN):$$PYTHONPATH $(BIN)/python -m pytest -m '$(PARITY)'

figures: install ## Measure the figures that servelite promises, beside a bare server (needs wrk)
	$(BIN)/python loadtests/figures.py

# Each contestant of the race has an environment of its own, for they need different versions of the same packages. One that can't be
# installed keeps nobody else from racing: its row says so.
build/peers/%/.installed: $(PEERS)/requirements/%.txt | $(STAMP)
	@rm -rf $(@D)
	$(BIN)/python -m venv $(@D)
	$(@D)/bin/python -m pip install --quiet --disable-pip-version-check -r $< || { rm -rf $(@D); echo "$* can't be installed here." >&2; }
	@test $* != servelite || $(@D)/bin/python -m pip install --quiet --disable-pip-version-check --no-deps .
	@test ! -d $(@D) || touch $@

$(MEDIUM)/model.onnx: $(MEDIUM)/train.py loadtests/onnx_file.py | $(STAMP)
	$(BIN)/python $<

peers: $(RACERS:%=build/peers/%/.installed) $(MEDIUM)/model.onnx ## Install what servelite races against, below build/peers, and make a model (3 GB)

race: peers ## Race servelite against its peers and write docs/benchmarks.md (needs wrk; an hour; RACE='--only mosec --rounds 2')
	$(BIN)/python $(PEERS)/race.py $(or $(RACE),--page docs/benchmarks.md)
