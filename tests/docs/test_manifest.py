"""The manifest in docs/fleet.md: the Dask operator's definition takes it, and its commands make a cluster for a run."""

from __future__ import annotations

import json
import os
import re
import sys
from pathlib import Path

import pytest
import yaml
from jsonschema import Draft202012Validator

from guestfix.fleet.job import Guest
from guestfix.fleet.run import Setting, run
from guestfix.fleet.store import Store
from guestfix.pack.cache import load_pack
from tests.build.reports import ROOT
from tests.build.servers import free_port, running
from tests.fleet import doing

DEFINITION = "dask_kubernetes/operator/deployment/helm/dask-kubernetes-operator/crds/daskcluster.yaml"
GUIDE = (ROOT / "docs/fleet.md").read_text("utf-8")
MANIFEST = yaml.safe_load(re.search(r"```yaml\n(apiVersion: .*?)```", GUIDE, re.DOTALL)[1])  # type: ignore[index]
SPECS = {part: MANIFEST["spec"][part]["spec"] for part in ("scheduler", "worker")}


def definition() -> dict[str, object]:
    place = Path(os.environ.get("VENV", sys.prefix), "kubernetes", DEFINITION)
    if not place.exists():
        pytest.skip("dask-kubernetes is not installed here: sh tests/venv.sh dev")
    return yaml.safe_load(place.read_text("utf-8"))


def unknown(schema: dict, value: object, where: str = "") -> list[str]:
    """Return the keys that a schema does not have: an API server takes them out without a word."""
    if isinstance(value, list):
        return [key for one in value for key in unknown(schema.get("items", {}), one, f"{where}[]")]
    if not isinstance(value, dict) or "properties" not in schema:
        return []
    own = schema["properties"]
    return [
        key
        for name, below in value.items()
        for key in (unknown(own[name], below, f"{where}.{name}") if name in own else [f"{where}.{name}"])
    ]


def wrong(manifest: dict) -> list[str]:
    kind = definition()["spec"]
    (version,) = [one for one in kind["versions"] if f"{kind['group']}/{one['name']}" == manifest["apiVersion"]]
    assert manifest["kind"] == kind["names"]["kind"] and version["served"]
    schema = version["schema"]["openAPIV3Schema"]
    below = {key: manifest[key] for key in ("spec",)}
    own = {"properties": {"spec": schema["properties"]["spec"]}}
    said = [error.message for error in Draft202012Validator(schema).iter_errors(manifest)]
    return said + unknown(own, below)


def test_the_operator_takes_it():
    assert wrong(MANIFEST) == []
    broken = json.loads(json.dumps(MANIFEST).replace("containerPort", "port").replace("replicas", "count"))
    assert ".spec.worker.count" in wrong(broken) and len(wrong(broken)) > 1


def test_its_parts_fit_one_another_and_the_image():
    image = (ROOT / "docs/packaging/Containerfile").read_text("utf-8")
    assert 'ENTRYPOINT ["/usr/bin/guestfix"]' in image, "so a container that is to run dask has to name a command"
    for part, spec in SPECS.items():
        (one,) = spec["containers"]
        assert one["name"] == part and one["command"][:2] == ["dask", part] and one["image"] == "guestfix-fleet"
        named = {volume["name"] for volume in spec.get("volumes", ())}
        assert {mount["name"] for mount in one.get("volumeMounts", ())} <= named
    service, (port,) = MANIFEST["spec"]["scheduler"]["service"], SPECS["scheduler"]["containers"][0]["ports"]
    assert [(one["port"], one["targetPort"]) for one in service["ports"]] == [(port["containerPort"], port["name"])]
    name = MANIFEST["metadata"]["name"]
    assert service["selector"] == {"dask.org/cluster-name": name, "dask.org/component": "scheduler"}
    assert f"--scheduler tcp://{name}-scheduler:{port['containerPort']}" in GUIDE


def test_its_commands_make_a_cluster(tmp_path):
    pytest.importorskip("distributed", reason="the extra fleet is not installed here")
    port = free_port()
    address, name = f"tcp://127.0.0.1:{port}", "guestfix-default-worker-1"
    told = {**os.environ, "PYTHONPATH": str(ROOT), "DASK_SCHEDULER_ADDRESS": address}

    def command(part: str, *more: str) -> list[str]:
        words = [one.replace("$(DASK_WORKER_NAME)", name) for one in SPECS[part]["containers"][0]["command"]]
        return [sys.executable, "-m", *words, *more, "--host", "127.0.0.1", "--no-dashboard"]

    store = Store(str(tmp_path / "results.db"), write=True)
    with running(command("scheduler", "--port", str(port)), port, env=told), running(command("worker"), env=told):
        asked = Setting(pack_digest=load_pack().digest, scheduler=address)
        number = run([Guest("a", ("/a",)), Guest("b", ("/b",))], asked, store, [], lambda at: None, doing.ready)
    assert {row.outcome for row in store.rows(number)} == {"ready"} and store.names(number) == {"a", "b"}
    store.close()
