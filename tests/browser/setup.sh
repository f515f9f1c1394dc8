#!/bin/sh
# Install the npm packages that the tests of HTML and SARIF reports and of Azure's store use, into .venv/browser. Where npm
# is missing or can't install them, say so; the tests that need them skip with that reason.
set -u
cd "$(dirname "$0")/../.."
place=${VENV:-.venv}/browser
[ "$place/node_modules/axe-core/axe.min.js" -nt tests/browser/package.json ] && exit 0
if ! command -v npm >/dev/null 2>&1; then
    echo "tests/browser/setup.sh: no npm here, so the tests of HTML reports in a browser and of az:// skip (Debian: npm, chromium)" >&2
    exit 0
fi
mkdir -p "$place"
cp tests/browser/package.json "$place/package.json"
npm install --prefix "$place" --silent --no-audit --no-fund --no-package-lock --ignore-scripts >&2 ||
    echo "tests/browser/setup.sh: npm could not install axe-core and puppeteer-core, so those tests skip" >&2
[ ! -e "$place/node_modules/axe-core/axe.min.js" ] || touch "$place/node_modules/axe-core/axe.min.js"
