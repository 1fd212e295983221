#!/usr/bin/env bash
# Run the contract tests of the instrumented libraries with the oldest and newest versions of each.
#   tests/instrument_versions.sh [--oldest | --newest | --locked] [--no-table] [openai==1.109.1 ...]
#   PYTHON=python3.12 picks the interpreter
set -euo pipefail
cd "$(dirname "$0")/.."
exec "${PYTHON:-python3}" tools/instrument_versions.py "$@"
