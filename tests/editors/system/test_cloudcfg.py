"""The list of data sources that cloud-init looks for: the target's on one line, all else byte for byte."""

from __future__ import annotations

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from guestfix.base.errors import EditError
from guestfix.editors.system.cloudcfg import data_sources

SAME = [
    b"",
    b"a: 1\n",
    b"# datasource_list: [ Azure ]\na: 1\n",
    b"datasource_list: [ GCE, Azure ]\n",
    b"datasource_list: [gce]\n",
    b"datasource_list: [None]\n",
    b"datasource_list: Azure\n",
    b"datasource_list: [ Azure\n",
    b"\xff\ndatasource_list: [ Azure ]\n",
    b"- datasource_list: [ Azure ]\n",
    b"x:\n  datasource_list: [ Azure ]\n",
]
CHANGED = [
    (b"datasource_list: [ Azure ]\n", b"datasource_list: [ GCE, None ]\n"),
    (b"a: 1\ndatasource_list : ['Ec2', \"None\"] # x\nb: 2", b"a: 1\ndatasource_list: [ GCE, None ] # x\nb: 2"),
    (b"datasource_list:\n- Ec2\n- None\nb: \xc3\xa4\n", b"datasource_list: [ GCE, None ]\nb: \xc3\xa4\n"),
    (b"datasource_list: [ Ec2,\n  Azure ]\r\nb: 1\r\n", b"datasource_list: [ GCE, None ]\r\nb: 1\r\n"),
    (b"datasource_list: []\n", b"datasource_list: [ GCE, None ]\n"),
]


@pytest.mark.parametrize("src", SAME)
def test_a_list_that_suits_and_a_file_without_one_stay(src):
    assert data_sources(src, names=["GCE"]) is src
    assert data_sources(None, names=["GCE"]) is None


@pytest.mark.parametrize(("before", "after"), CHANGED)
def test_a_list_of_others_becomes_the_targets(before, after):
    found = data_sources(before, names=["GCE"])
    assert found == after
    assert data_sources(found, names=["GCE"]) is found


def test_with_only_others_beside_it_go_too():
    src = b"datasource_list: [ Ec2, GCE, None ]\n"
    assert data_sources(src, names=["GCE"]) is src
    assert data_sources(src, names=["GCE"], only=True) == b"datasource_list: [ GCE, None ]\n"
    own = b"datasource_list: [ GCE ]\n"
    assert data_sources(own, names=["GCE"], only=True) is own


@pytest.mark.parametrize("names", [["a b"], ["a]"], [""], ["x" * 41]])
def test_what_is_no_data_source_is_refused(names):
    with pytest.raises(EditError):
        data_sources(b"datasource_list: [ Azure ]\n", names=names)


NAME = st.sampled_from(["Ec2", "Azure", "GCE", "None", "NoCloud"])


@given(st.lists(NAME, max_size=6), st.booleans(), st.booleans(), st.sampled_from(["", "a: 1\n", "# x\n\n"]))
def test_the_file_still_says_all_else(names, block, only, around):
    listed = "".join(f"\n  - {one}" for one in names) if block and names else f" [ {', '.join(names)} ]"
    src = f"{around}datasource_list:{listed}\nb: {{c: [1, 2]}}\n".encode()
    found = data_sources(src, names=["GCE", "NoCloud"], only=only)
    assert isinstance(found, bytes)
    before, after = yaml.safe_load(src), yaml.safe_load(found)
    assert {**before, "datasource_list": after["datasource_list"]} == after
    suits = set(names) == {"None"} or {"GCE", "NoCloud"} & set(after["datasource_list"])
    assert suits and data_sources(found, names=["GCE", "NoCloud"], only=only) is found
