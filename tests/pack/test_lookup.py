"""Where guestfix looks for the rules that came with it: inside an installed package first, else beside a checkout."""

from __future__ import annotations

import os

from pyfakefs.fake_filesystem import FakeFilesystem

from guestfix.pack import files

PACKAGE = os.path.dirname(os.path.dirname(os.path.realpath(files.__file__)))


def test_beside_the_package_in_a_checkout(fs: FakeFilesystem) -> None:
    fs.create_file(f"{os.path.dirname(PACKAGE)}/rules/pack.yaml")
    assert files.default_pack_path() == f"{os.path.dirname(PACKAGE)}/rules"


def test_inside_the_package_where_it_is_installed(fs: FakeFilesystem) -> None:
    fs.create_file(f"{os.path.dirname(PACKAGE)}/rules/of-another-project.yaml")
    fs.create_file(f"{PACKAGE}/rules/pack.yaml")
    assert files.default_pack_path() == f"{PACKAGE}/rules"


def test_a_file_of_that_name_is_no_pack(fs: FakeFilesystem) -> None:
    fs.create_file(f"{PACKAGE}/rules")
    assert files.default_pack_path() == f"{os.path.dirname(PACKAGE)}/rules"


def test_through_a_link_to_the_package(fs: FakeFilesystem) -> None:
    """As with a folder of links to installed packages: what counts is where the package really is."""
    fs.create_file(f"{PACKAGE}/rules/pack.yaml")
    fs.create_file(f"{PACKAGE}/pack/files.py")
    fs.create_symlink("/links/guestfix", PACKAGE)
    kept, files.__file__ = files.__file__, "/links/guestfix/pack/files.py"
    try:
        assert files.default_pack_path() == f"{PACKAGE}/rules"
    finally:
        files.__file__ = kept
