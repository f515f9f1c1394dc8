"""What logins ask of an old cloud goes, and nothing else does."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from guestfix.base.errors import EditError
from guestfix.editors.system.logins import drop_modules, drop_sources
from guestfix.editors.system.text import comment_lines

OURS = ["oslogin", "cache_oslogin"]


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("passwd: files cache_oslogin oslogin systemd\n", "passwd: files systemd\n"),
        ("passwd:\toslogin\tfiles", "passwd:\tfiles"),
        ("group: files oslogin [SUCCESS=return NOTFOUND=continue] sss # x\n", "group: files sss # x\n"),
        ("group: files [NOTFOUND=return] oslogin\n", "group: files [NOTFOUND=return]\n"),
        ("passwd: oslogin\n", "passwd: oslogin\n"),
        ("passwd: oslogin [NOTFOUND=return]\n", "passwd: oslogin [NOTFOUND=return]\n"),
        ("#passwd: files oslogin\n", "#passwd: files oslogin\n"),
        ("passwd: files myoslogin\r\n", "passwd: files myoslogin\r\n"),
        ("passwd: files oslogin\r\n", "passwd: files\r\n"),
    ],
)
def test_sources_that_are_gone(before: str, after: str) -> None:
    assert drop_sources(before.encode(), names=OURS) == after.encode()


@given(st.binary(max_size=300), st.sampled_from([b"passwd: files oslogin\n", b"", b"group: oslogin [X=continue] a\n"]))
def test_a_second_time_changes_nothing(data: bytes, line: bytes) -> None:
    once = drop_sources(line + data, names=OURS)
    assert drop_sources(once if isinstance(once, bytes) else b"", names=OURS) is once or once == b""
    commented = comment_lines(line + data, matches=["passwd:*", "*x*"])
    assert isinstance(commented, bytes) and comment_lines(commented, matches=["passwd:*", "*x*"]) is commented


def test_modules_are_commented_out_by_their_file() -> None:
    before = b"account [success=ok default=die] /lib/security/pam_oslogin_login.so x\naccount required pam_unix.so\n"
    after = drop_modules(before, modules=["pam_oslogin_login.so"])
    assert after == b"# guestfix: of the old platform: " + before
    assert drop_modules(after, modules=["pam_oslogin_login.so"]) is after
    assert drop_modules(None, modules=["x.so"]) is None


@pytest.mark.parametrize("control", ["[success=1 default=ignore]", "[success=ok user_unknown=2]"])
def test_a_line_that_is_jumped_over_stays(control: str) -> None:
    source = f"auth {control} pam_unix.so\nauth required pam_oslogin_login.so\nauth required pam_deny.so\n"
    with pytest.raises(EditError, match="jumps by number"):
        drop_modules(source.encode(), modules=["pam_oslogin_login.so"])


def test_a_jump_that_ends_before_it_is_no_hindrance() -> None:
    source = b"auth [success=1] a.so\nauth requisite deny.so\nauth optional pam_x.so\naccount required pam_x.so\n"
    after = drop_modules(source, modules=["pam_x.so"])
    assert isinstance(after, bytes) and after.count(b"# guestfix") == 2
