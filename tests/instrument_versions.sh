#!/usr/bin/env bash
# Run the contract tests of openai and anthropic on older majors, each in its own environment.
#   tests/instrument_versions.sh [openai==1.109.1 ...]      PYTHON=python3.12 picks the interpreter
set -euo pipefail
cd "$(dirname "$0")/.."

versions=("$@")
if [ ${#versions[@]} -eq 0 ]; then
  versions=(openai==1.109.1 openai==2.54.0 anthropic==0.125.0 anthropic==1.17.0)
fi

environments=$(mktemp -d)
trap 'rm -rf "$environments"' EXIT
failed=()
for version in "${versions[@]}"; do
  name=${version%%==*}
  environment=$environments/$version
  "${PYTHON:-python3}" -m venv "$environment"
  "$environment/bin/python" -m pip install --quiet --disable-pip-version-check \
    --editable . "$version" pytest pytest-asyncio pytest-randomly pytest-timeout hypothesis
  echo "== $version on $("$environment/bin/python" --version)"
  "$environment/bin/python" -m pytest -q -m contract "tests/contract/test_instrument_$name.py" \
    || failed+=("$version")
done

if [ ${#failed[@]} -gt 0 ]; then
  echo "failed: ${failed[*]}"
  exit 1
fi
