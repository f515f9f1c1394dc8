#!/bin/sh
# The second command of the README: lint, types, every test that ends within minutes, and the boots of some guests.
# Installs what they need where it may, and says at the end what it could not. With arguments: lint, types, and pytest
# with these arguments. Needs neither make nor an environment; `make check` calls this.
set -eu
cd "$(dirname "$0")/.."
bin=${VENV:-.venv}/bin
missing=$(sh tests/packages.sh)
sh tests/venv.sh dev
sh tests/browser/setup.sh
"$bin/ruff" check .
"$bin/ruff" format --check .
"$bin/mypy"
status=0
if [ $# -gt 0 ]; then
    "$bin/python" -m pytest "$@" || status=$?
else
    "$bin/python" -m pytest -n "${WORKERS:-2}" --cov --cov-report=term:skip-covered || status=$?
    [ $status != 0 ] || "$bin/python" -m pytest -m boot --durations 0 tests/e2e || status=$?
fi
[ -z "$missing" ] || echo "not installed, so the tests that need them were skipped: $missing" >&2
exit $status
