# Two commands stand for the rest: `make demo` and `make test`. Each sets up
# what it needs in .venv the first time, and again when requirements change.

VENV ?= .venv
PYTHON ?= $(shell tools/find-python)
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --quiet --disable-pip-version-check install
REQUIREMENTS := requirements.txt setup.cfg setup.py pyproject.toml

.PHONY: help demo test lab lab-down clean

help:
	@echo 'make demo      a simulated fleet is balanced before your eyes'
	@echo 'make test      set up all that tests need, and run every test'
	@echo 'make lab       a real fleet on this machine (as root)'
	@echo 'make lab-down  and away with it'
	@echo 'make clean     remove what these commands made in this folder'

# Neither a broker nor libvirt nor root: Python and a package index.
demo: $(VENV)/.installed
	@$(BIN)/kvm-balancer demo

test: $(VENV)/.installed-for-tests
	@$(BIN)/python tools/run_tests.py $(GROUPS)

lab: $(VENV)/.installed-for-tests
	@tools/as-root $(abspath $(BIN))/kvm-balancer lab up
	@tools/as-root $(abspath $(BIN))/kvm-balancer lab status

lab-down: $(VENV)/.installed-for-tests
	@tools/as-root $(abspath $(BIN))/kvm-balancer lab down

$(VENV)/.installed: $(REQUIREMENTS)
	@test -n '$(PYTHON)'
	@tools/make-venv $(VENV) '$(PYTHON)'
	@echo 'Installing the project in $(VENV)'
	@$(PIP) --editable .
	@touch $@

$(VENV)/.installed-for-tests: $(VENV)/.installed test-requirements.txt bindep.txt
	@$(PIP) bindep
	@tools/install-system-packages $(BIN)/bindep test
	@echo 'Installing what the tests need in $(VENV)'
	@$(PIP) --editable '.[libvirt,nova,prometheus]' --requirement test-requirements.txt
	@touch $@

clean:
	@rm -rf $(VENV) .test-results .mypy_cache .ruff_cache build dist \
		demo-result .tox/nova-lab .tox/nova-lab.lock
