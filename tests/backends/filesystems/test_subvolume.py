"""A subvolume's name never adds a mount option."""

import pytest

from guestfix.backends.filesystems.subvolume import name_of, option_for
from guestfix.backends.volumes.block import DiskError


@pytest.mark.parametrize(
    ("path", "name", "option"),
    [
        ("@", "@", "subvol=/@"),
        ("a b/ü", "a b/ü", "subvol=/a b/ü"),
        ("@,subvolid=5", "subvolid:257", "subvolid=257"),
        ("x,device=/dev/ubdb", "subvolid:257", "subvolid=257"),
        ("subvolid:5,degraded", "subvolid:257", "subvolid=257"),
        ("subvolid:5", "subvolid:257", "subvolid=257"),
        ("a\nb", "subvolid:257", "subvolid=257"),
    ],
)
def test_a_path_that_can_be_no_option_goes_by_its_number(path, name, option):
    assert name_of(path, 257) == name and option_for(name) == option


@pytest.mark.parametrize("name", ["@,rw", "subvolid:5,rw", "subvolid:x", "subvolid:", "a\0b", ","])
def test_what_would_be_more_than_one_option_is_refused(name):
    with pytest.raises(DiskError, match="can't be a mount option"):
        option_for(name)
