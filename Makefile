# Every target works as the first command after a clone: each begins with `setup`.
.PHONY: setup demo check test lint format bench bench-peers baseline systems systems-test page testbed soak machines vps-test unit-test fuzz mutants mutants-node lock map docs help test-full
.DEFAULT_GOAL := help

# Where it is set, every process that a target starts compiles the project again, which takes it a second.
unexport PYTHONDONTWRITEBYTECODE

TRI := .venv/bin/tri
PYTHON_IN_VENV := .venv/bin/python
WORKERS ?= 3
SEEDS ?= 1000
DECODERS_S ?= 120
FAST_TESTS := tests/test_boundaries.py tests/test_rooms.py tests/test_docs.py tests/test_words.py tests/test_guides.py tests/test_requirements.py \
	tests/histories tests/checkers/test_unjudged.py tests/checkers/workloads tests/checkers/transactions \
	$(wildcard tests/harness/test_*.py) tests/harness/failures tests/harness/report/test_words.py tests/harness/campaign/test_load.py tests/harness/campaign/test_renamed.py \
	$(addprefix tests/harness/cli/test_, options.py refusals.py show.py schemas.py reported_verdicts.py hostile_text.py progress.py streams.py) \
	--ignore tests/histories/fuzz
FIRST := $(or $(FIRST),$(shell date +%s))

# List the targets.
help:
	@awk '/^# /{text=substr($$0,3)} /^[a-z-]+:/{split($$1,name,":"); printf "  make %-12s %s\n", name[1], text; text=""}' $(MAKEFILE_LIST)

# Make .venv with `tri` in it; ask apt, as root, for the system packages that local hosts need.
setup:
	@sh scripts/setup.sh

# Five local hosts, real sockets, faults, a checked history and a report: under two minutes.
demo: setup
	$(TRI) demo

# Style, types and the tests that need no hosts and processes: under two minutes, before each commit.
check: lint
	$(PYTHON_IN_VENV) -m pytest -n 2 --dist loadfile $(FAST_TESTS)

# Every part is tested, local hosts included; some nine minutes on two quiet cores. Three tests run at once, two of those at most on hosts; WORKERS=2 runs two.
test: setup
	$(PYTHON_IN_VENV) -m pytest -n $(WORKERS) --dist loadfile -m "not full" --durations 40

# As `test`, with the long tests and all cases of those that `test` runs a sample of; some twenty minutes.
test-full: setup
	$(PYTHON_IN_VENV) -m pytest -n $(WORKERS) --dist loadfile

# Install the databases of systems/ (etcd, Redis, PostgreSQL, RabbitMQ of Debian's packages; as root) and their drivers.
systems: setup
	@sh scripts/setup.sh systems

# Real databases under faults: what must hold holds, and what must fall falls; some twenty minutes.
systems-test: systems
	TRI_SYSTEMS=1 $(PYTHON_IN_VENV) -m pytest tests/databases --timeout 900

# The report page in the system's Chromium: zoom, filters, keyboard, accessibility (axe-core).
page: setup
	$(PYTHON_IN_VENV) -m pip install -q --require-hashes -r tests/browser.lock
	$(PYTHON_IN_VENV) -m pytest tests/harness/report/test_page_in_browser.py

# Every cell of the table of phases and failures on local hosts, as root; some ten minutes.
testbed: setup
	$(PYTHON_IN_VENV) -m tests.testbed.local

# Style, formatting and types.
lint: setup
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	.venv/bin/mypy

# Rewrite the code in the house format.
format: setup
	.venv/bin/ruff check --fix .
	.venv/bin/ruff format .

# Measure what the documentation claims; BENCH=--full checks a million operations of each kind, and up to ten million.
bench: setup
	$(PYTHON_IN_VENV) -P benchmarks/simulator.py
	$(PYTHON_IN_VENV) benchmarks/judging/checkers.py $(BENCH)

# Measure the node against etcd (apt install etcd-server) and PySyncObj (fetched), in turn, into benchmarks/results/; ROUNDS=6.
bench-peers: setup
	.venv/bin/uv run -q --no-project --with pysyncobj==0.3.17 --python $(PYTHON_IN_VENV) python -m benchmarks.peers.peers --rounds $(or $(ROUNDS),6)

# Measure what must not get worse into baseline.json (verdicts, digests, rates, counts); BEFORE=old.json compares with an earlier one.
baseline: setup
	$(PYTHON_IN_VENV) -P benchmarks/baseline.py --out baseline.json
	$(if $(BEFORE),$(PYTHON_IN_VENV) -P benchmarks/baseline.py --compare $(BEFORE) baseline.json)

# An hour of every fault on local hosts, every process watched; LOAD=2m for a trial.
soak: setup
	$(PYTHON_IN_VENV) -P benchmarks/soak/soak.py $(if $(LOAD),--load $(LOAD))

# Three emulated machines with kernels of their own: booted, harmed, compared, taken down; as root. ALL=--campaign runs campaigns/machines.yaml on them.
machines: setup
	$(PYTHON_IN_VENV) -P benchmarks/machines.py $(ALL)

# The guide for rented machines, docs/guides/vps.md, carried out as it stands on emulated machines reached by SSH alone; as root, half an hour or more. ALL=--here: only what needs no machines.
vps-test: setup
	$(PYTHON_IN_VENV) -P benchmarks/vps/vps_guide.py $(ALL)

# A campaign attaches to units of systemd on emulated machines, and leaves them as they were; as root, ten minutes.
unit-test: setup
	$(PYTHON_IN_VENV) -P benchmarks/vps/running_unit.py

# A thousand random worlds for the node, what hostile clients, datagrams and files bring, a thousand histories of every case for the checkers, other ones each time; SEEDS=100000 for a night, FIRST=7 SEEDS=1 to repeat one.
fuzz: setup
	$(PYTHON_IN_VENV) -m pytest -q --hypothesis-profile explore tests/histories tests/checkers tests/node/core
	FUZZ_EXAMPLES=$(SEEDS) $(PYTHON_IN_VENV) -m pytest -q --hypothesis-profile explore --timeout 0 tests/node/fuzz tests/harness/nemesis/test_agent_fuzz.py tests/harness/nemesis/test_trace_fuzz.py tests/histories/fuzz tests/harness/campaign/test_fuzzed.py tests/harness/run/test_hostile_plans.py tests/harness/evidence/fuzz
	.venv/bin/uv run -q --no-project --with atheris --python $(PYTHON_IN_VENV) python -m tests.node.fuzz.decoders -max_total_time=$(DECODERS_S)
	$(PYTHON_IN_VENV) -m tests.checkers.fuzz $(SEEDS) $(FIRST)
	$(TRI) search hunt --first $(FIRST) --seeds $(SEEDS) --jobs 2

# Do the tests notice changes in the code that gives verdicts? Hours for all; SAMPLE=500 draws so many.
mutants: setup
	$(PYTHON_IN_VENV) scripts/mutate.py checkers $(if $(SAMPLE),--sample $(SAMPLE)) --jobs 2

# Does the search find mistakes in the node's core that were not planted? SAMPLE of them (100), drawn by FIRST, 25 s of CPU each; docs/internals/node-mutation.md has the score.
mutants-node: setup
	$(PYTHON_IN_VENV) scripts/mutate_node.py --sample $(or $(SAMPLE),100) --seed $(FIRST)

# Pin the requirements again, for every Python that is supported.
lock: setup
	.venv/bin/uv pip compile -q --universal --python-version 3.11 --fork-strategy fewest --extra dev --upgrade --no-annotate --generate-hashes \
		--custom-compile-command "make lock" --output-file requirements.lock pyproject.toml
	$(PYTHON_IN_VENV) -c "import tomllib; print(*tomllib.load(open('pyproject.toml', 'rb'))['project']['optional-dependencies']['systems'], sep='\n')" | \
		.venv/bin/uv pip compile -q --universal --python-version 3.11 --fork-strategy fewest --constraint requirements.lock --upgrade --no-annotate --generate-hashes \
		--custom-compile-command "make lock" --output-file systems/requirements.lock -
	$(PYTHON_IN_VENV) -c "import tomllib; print(*tomllib.load(open('pyproject.toml', 'rb'))['project']['optional-dependencies']['browser'], sep='\n')" | \
		.venv/bin/uv pip compile -q --universal --python-version 3.11 --fork-strategy fewest --constraint requirements.lock --upgrade --no-annotate --generate-hashes \
		--custom-compile-command "make lock" --output-file tests/browser.lock -

# Write docs/internals/map.md and docs/reference/fields/ from the code.
map: setup
	$(PYTHON_IN_VENV) scripts/make_map.py

# Build the documentation site into build/site, without network; a broken link or anchor is an error.
docs: setup
	NO_MKDOCS_2_WARNING=1 .venv/bin/mkdocs build --strict
