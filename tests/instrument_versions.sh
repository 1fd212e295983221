#!/usr/bin/env bash
# The contract tests of openai and anthropic on older majors, each in an environment of its own.
#   tests/instrument_versions.sh [openai==1.109.1 ...]      PYTHON=python3.12 picks the interpreter
set -euo pipefail
cd "$(dirname "$0")/.."

versions=("$@")
if [ ${#versions[@]} -eq 0 ]; then
  versions=(openai==1.109.1 openai==2.54.0 anthropic==0.125.0 anthropic==1.17.0)
fi

rooms=$(mktemp -d)
trap 'rm -rf "$rooms"' EXIT
failed=()
for version in "${versions[@]}"; do
  name=${version%%==*}
  room=$rooms/$version
  "${PYTHON:-python3}" -m venv "$room"
  "$room/bin/python" -m pip install --quiet --disable-pip-version-check \
    --editable . "$version" pytest pytest-asyncio pytest-randomly pytest-timeout hypothesis
  echo "== $version on $("$room/bin/python" --version)"
  "$room/bin/python" -m pytest -q -m contract "tests/contract/test_instrument_$name.py" \
    || failed+=("$version")
done

if [ ${#failed[@]} -gt 0 ]; then
  echo "failed: ${failed[*]}"
  exit 1
fi
