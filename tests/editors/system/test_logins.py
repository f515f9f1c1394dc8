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


PAM_JUMPS = [
    (["[success=3 default=ignore]", "[success=2]", "aad"], ["[success=2 default=ignore]", "[success=1]", ""]),
    (["[success=1 default=ignore]", "aad"], ["[success=ok default=ignore]", ""]),
    (["[success=ok user_unknown = 2]", "aad"], ["[success=ok user_unknown = 1]", ""]),
    (["[success=3]", "aad", "aad"], ["[success=1]", "", ""]),
    (["[success=1]", "required", "aad"], ["[success=1]", "required", ""]),
]  # fmt: skip


@pytest.mark.parametrize(("before", "after"), PAM_JUMPS)
def test_a_jump_over_what_goes_leads_where_it_led(before: list[str], after: list[str]) -> None:
    tail = "auth requisite pam_deny.so\nauth required pam_permit.so\n"
    gone = "auth [success=1 default=ignore] pam_aad.so"
    lines = [gone if one == "aad" else f"auth {one} pam_unix.so" for one in before]
    left = [f"# guestfix: of the old platform: {gone}" if not one else f"auth {one} pam_unix.so" for one in after]
    result = drop_modules("\n".join([*lines, tail]).encode(), modules=["pam_aad.so"])
    assert result == "\n".join([*left, tail]).encode()
    assert drop_modules(result, modules=["pam_aad.so"]) is result


@pytest.mark.parametrize("between", ["auth include other", "auth substack other", "@include other"])
def test_a_jump_over_what_is_included_is_refused(between: str) -> None:
    source = f"auth [success=3] pam_unix.so\n{between}\nauth required pam_x.so\nauth required pam_deny.so\n"
    with pytest.raises(EditError, match="jumps by number"):
        drop_modules(source.encode(), modules=["pam_x.so"])
    assert b"# guestfix" in (drop_modules(source.replace("=3", "=1").encode(), modules=["pam_x.so"]) or b"")


def test_a_jump_that_ends_before_it_is_no_hindrance() -> None:
    source = b"auth [success=1] a.so\nauth requisite deny.so\nauth optional pam_x.so\naccount required pam_x.so\n"
    after = drop_modules(source, modules=["pam_x.so"])
    assert isinstance(after, bytes) and after.count(b"# guestfix") == 2
