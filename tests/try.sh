#!/bin/sh
# The first command of the README: install guestfix into .venv, and report on a guest that comes with it.
# Exit status as of `guestfix report`; 69 where something is missing, which is said.
set -eu
cd "$(dirname "$0")/.."
sh tests/venv.sh core
exec "${VENV:-.venv}/bin/guestfix" report testdata/guests/rhel7-vmware --target aws-nitro
