#!/bin/sh
# Build packages of this project into a folder (build/packages unless a second argument names one):
#   build.sh sdist    the source with tests, rules and guests
#   build.sh deb      a Debian package, by dpkg-buildpackage, debhelper and pybuild
#   build.sh rpm      an RPM package, by rpmbuild
#   build.sh image    a container image guestfix as an OCI archive, by buildah, from scratch and the Debian package;
#                     ROOT=FILE.tar takes a Debian root that is there, else debootstrap makes one
# PYTHON is the Python that builds (/usr/bin/python3), with hatchling. Exit status 69: a program is missing, which is said.
set -eu
what=${1:-}
project=$(cd "$(dirname "$0")/../.." && pwd)
out=${2:-$project/build/packages}
python=${PYTHON:-/usr/bin/python3}
needs="python3,python3-lark,python3-pyparsing,python3-yaml,python3-zstandard,python3-lz4,python3-jinja2,python3-markupsafe"
needs="$needs,python3-cffi-backend,python3-rich,user-mode-linux,qemu-utils,qemu-system-common,fuse3"

need() { # PROGRAM PACKAGE
    command -v "$1" >/dev/null 2>&1 && return
    echo "docs/packaging/build.sh: $1 is missing; on Debian, as root: apt-get install -y --no-install-recommends $2" >&2
    exit 69
}

sdist() { # FOLDER
    "$python" -c 'import hatchling' 2>/dev/null || need hatchling python3-hatchling
    (cd "$project" && "$python" -m hatchling build -t sdist -d "$1" >&2)
}

deb() { # FOLDER
    need dpkg-buildpackage "dpkg-dev debhelper dh-python pybuild-plugin-pyproject python3-all python3-hatchling"
    need dh "debhelper dh-python pybuild-plugin-pyproject python3-all python3-hatchling"
    sdist "$work/sdist"
    tar -xzf "$work"/sdist/guestfix-*.tar.gz -C "$work"
    cp -r "$project/docs/packaging/debian" "$work/guestfix-$version/debian"
    printf 'guestfix (%s) unstable; urgency=medium\n\n  * See CHANGELOG.md.\n\n -- %s  %s\n' "$version" \
        "guestfix maintainers <maintainers@guestfix.example>" "$(date -u -R -d "$date")" >"$work/guestfix-$version/debian/changelog"
    (cd "$work/guestfix-$version" && PATH=/usr/sbin:/usr/bin:/sbin:/bin SOURCE_DATE_EPOCH=$(date -u +%s -d "$date") dpkg-buildpackage --no-sign --build=all >&2)
    cp "$work"/guestfix_*_all.deb "$1"
}

rpm() { # FOLDER
    need rpmbuild rpm
    sdist "$work/SOURCES"
    rpmbuild --quiet --nodeps -bb --define "_topdir $work" --define "version_of $version" --define "python $python" \
        --define "source_date_epoch_from_changelog 0" "$project/docs/packaging/guestfix.spec" >&2
    cp "$work"/RPMS/noarch/guestfix-*.rpm "$1"
}

image() { # FOLDER
    need buildah buildah
    mkdir "$work/context"
    if [ -z "${ROOT:-}" ]; then
        need debootstrap debootstrap
        debootstrap --variant=minbase --include="$needs" bookworm "$work/root" ${MIRROR:-} >&2
        tar -C "$work/root" --exclude='./var/cache/apt/archives/*.deb' --exclude='./dev/*' -cf "$work/context/root.tar" .
    else
        ln "$ROOT" "$work/context/root.tar" 2>/dev/null || cp "$ROOT" "$work/context/root.tar"
    fi
    deb "$work/context"
    mv "$work"/context/guestfix_*_all.deb "$work/context/guestfix.deb"
    buildah build --quiet --isolation chroot --storage-driver "${STORAGE_DRIVER:-vfs}" --tag guestfix \
        --file "$project/docs/packaging/Containerfile" "$work/context" >&2
    rm -f "$1/guestfix-$version.oci.tar"
    buildah push --quiet --storage-driver "${STORAGE_DRIVER:-vfs}" guestfix "oci-archive:$1/guestfix-$version.oci.tar:guestfix" >&2
}

case $what in sdist | deb | rpm | image) ;; *) sed -n '2,8s/^# //p' "$0" >&2 && exit 64 ;; esac
version=$(sed -n 's/^__version__ = "\(.*\)"$/\1/p' "$project/guestfix/__init__.py")
date=$(sed -n "s/^## $version (\(.*\))$/\1/p" "$project/CHANGELOG.md")
date=${date:-2020-01-01}
mkdir -p "$out"
out=$(cd "$out" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"$what" "$out"
