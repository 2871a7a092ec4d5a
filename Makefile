# `make demo` and `make test` do everything from a bare machine; the set-up in front of them is instant once done.
# One build serves the tool and the tests: optimized, as whole models are slow to test otherwise, and with
# -enable-testing, so that tests see internal declarations.
release := -c release -Xswiftc -enable-testing
formatted := Sources Tests Package.swift Examples/Sources Examples/Package.swift

.DEFAULT_GOAL := help
.NOTPARALLEL:
.PHONY: help setup build demo test examples lint format docs clean

help:
	@echo 'make demo     train a small model on the built-in samples, evaluate, predict, make a page of it'
	@echo 'make test     lint, build with examples, check the reference for warnings and run every test'
	@echo 'make setup    install what is missing, find or download LibTorch'
	@echo 'make build    build the tool: .build/release/ganglion'
	@echo 'make examples build the programs of Examples/, a package that depends on this one'
	@echo 'make lint     check the format, changing nothing'
	@echo 'make format   rewrite the sources in the format'
	@echo 'make docs     write the reference of the public API to .build/documentation'
	@echo 'make clean    remove what was built; LibTorch and your runs stay'

setup:
	@Scripts/setup

build: setup
	@swift build $(release)

demo: build
	@Scripts/demo

test: setup lint examples
	@swift build --build-tests $(release)
	@Scripts/docs
	@Scripts/tests $(release)

# A build of its own, as any user's: another root in .build would remove what this package alone depends on.
examples: setup
	@swift build -c release --package-path Examples

lint:
	@swift format lint --strict --recursive $(formatted)

format:
	@swift format --in-place --recursive $(formatted)

docs: build
	@Scripts/docs

clean:
	@rm -rf .build Examples/.build
