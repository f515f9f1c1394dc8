#!/bin/sh
# Make the environment .venv, where it is missing or does not work, and install guestfix into it from this folder:
# `core` what it needs to run, `dev` what its tests need too. Does nothing where that is done already.
# An environment that works is kept, whichever Python made it; another is taken away whole, never made again over the old.
# Exit status 69: something is missing that only the administrator can install; the line that does it is printed.
set -eu
cd "$(dirname "$0")/.."
part=${1:-core}
venv=${VENV:-.venv}
certificates=/etc/ssl/certs/ca-certificates.crt

say() { echo "guestfix: $*" >&2; }

whole() {
    first=$(sed -n '1s/^#! *\([^ ]*\).*/\1/p' "$venv/bin/pip" 2>/dev/null) && [ -n "$first" ] || return 1
    [ "$(dirname "$first")" -ef "$venv/bin" ] || return 1 # it was made for another folder
    "$venv/bin/python" -c 'import sys, pip, ssl, subprocess; sys.exit(sys.version_info < (3, 11))' 2>/dev/null
}

suits() {
    command -v "$1" >/dev/null 2>&1 || return 1
    "$1" -c 'import sys, ensurepip, ssl, venv; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1
}

# Debian's own Python first: that is what the README promises to work with.
find_python() {
    for name in ${PYTHON:-/usr/bin/python3.11 python3 /usr/bin/python3 python3.14 python3.13 python3.12 python3.11}; do
        if suits "$name"; then
            echo "$name"
            return
        fi
    done
    return 1
}

install() {
    say "installing$1"
    export DEBIAN_FRONTEND=noninteractive
    apt-get update -qq >&2 || say "apt-get update failed; continuing with the lists at hand"
    # shellcheck disable=SC2086
    apt-get install -qq -y --no-install-recommends $1 >&2
}

make() {
    python=$(find_python) || python=""
    needed=""
    [ -n "$python" ] || needed=" python3-venv"
    case $python in "" | /usr/bin/*) [ -e $certificates ] || needed="$needed ca-certificates" ;; esac
    if [ -n "$needed" ] && [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
        install "$needed" || say "could not install$needed"
        python=$(find_python) || python=""
    fi
    if [ -z "$python" ]; then
        say "no Python here is 3.11 or newer and can make an environment (modules venv and ensurepip)"
        say "the line that brings it, as root on Debian 12: apt-get install -y --no-install-recommends$needed"
        exit 69
    fi
    if [ -e "$venv" ] && [ ! -e "$venv/pyvenv.cfg" ] && [ -n "$(ls -A "$venv")" ]; then
        say "$venv is in the way and is no environment: move it, or name another folder (VENV=...)"
        exit 69
    fi
    rm -rf "$venv"
    "$python" -m venv "$venv"
}

fill() {
    if "$venv/bin/pip" install --quiet --disable-pip-version-check --editable "$1" >&2; then
        return
    fi
    [ -e $certificates ] || say "pip may need: apt-get install -y --no-install-recommends ca-certificates (as root)"
    say "pip could not install what guestfix needs; its message is above"
    exit 69
}

# The definitions of the Dask operator's kinds lie in its package; none of it is imported, so it comes without what it needs.
types() {
    "$venv/bin/pip" install --quiet --disable-pip-version-check --no-deps --target "$venv/kubernetes" dask-kubernetes >&2 ||
        say "pip could not install dask-kubernetes, so the test of the manifest in docs/fleet.md skips"
}

whole || make
case $part in
core) [ "$venv/.core" -nt pyproject.toml ] || [ "$venv/.dev" -nt pyproject.toml ] || fill . ;;
dev)
    [ "$venv/.dev" -nt pyproject.toml ] || fill '.[dev,fleet,parquet,http,s3,gs,az,ssh,luks]'
    [ -d "$venv/kubernetes" ] || types
    ;;
*) say "core or dev, not $part" && exit 64 ;;
esac
[ "$venv/.$part" -nt pyproject.toml ] || touch "$venv/.$part"
