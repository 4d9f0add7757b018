"""The examples with two daemons on one PostgreSQL fit the daemon, each other, and those with one daemon."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from orchestrator.api.monitoring import PATHS
from orchestrator.config import Config, load
from tests.docs.test_deploy_containers import COMPOSE, CONFIG_PATH, DEPLOY, OBJECTS, USER

NODES = ("one", "two")
CLUSTER = yaml.safe_load((DEPLOY / "compose.cluster.yml").read_text("utf-8"))
PODS = {each["kind"]: each for each in yaml.safe_load_all((DEPLOY / "kubernetes" / "cluster.yml").read_text("utf-8"))}
LABELS = PODS["Deployment"]["spec"]["template"]["metadata"]["labels"]


def pod() -> dict[str, Any]:
    found: dict[str, Any] = PODS["Deployment"]["spec"]["template"]["spec"]
    return found


def container() -> dict[str, Any]:
    (found,) = pod()["containers"]
    return dict(found)


@pytest.fixture
def config(tmp_path: Path) -> Config:
    """The config of every node, with the secrets where this machine can have them."""
    text = (DEPLOY / "cluster.json").read_text("utf-8").replace("/run/secrets", str(tmp_path))
    (tmp_path / "acme-token").write_text("s3cret-of-acme\n", "utf-8")
    (tmp_path / "secret-key").write_text("s3cret-of-the-tokens-in-the-database\n", "utf-8")
    (tmp_path / "storage-url").write_text("postgresql://fulfilld:s3cret-of-db@db/fulfilld\n", "utf-8")
    path = tmp_path / "config.json"
    path.write_text(text, "utf-8")
    return load(path)


def test_the_nodes_of_compose_differ_in_their_volumes_and_ports_alone() -> None:
    nodes = [CLUSTER["services"][name] for name in NODES]
    one, two = [{key: value for key, value in node.items() if key not in {"volumes", "ports"}} for node in nodes]
    assert one == two
    alone = COMPOSE["services"]["fulfilld"]
    same = ("image", "build", "restart", "stop_grace_period", "init", "read_only", "cap_drop", "security_opt", "tmpfs")
    assert {key: one[key] for key in same} == {key: alone[key] for key in same}
    volumes = [volume.partition(":")[0] for name in (*NODES, "db") for volume in CLUSTER["services"][name]["volumes"]]
    assert sorted(volumes) == sorted(CLUSTER["volumes"]), "no two share one"
    assert one["depends_on"] == {"db": {"condition": "service_healthy"}}


def test_both_run_on_the_config_of_a_cluster() -> None:
    for name in NODES:
        (mounted,) = CLUSTER["services"][name]["configs"]
        assert (mounted["target"], CLUSTER["configs"][mounted["source"]]["file"]) == (CONFIG_PATH, "cluster.json")
    assert container()["args"] == OBJECTS["StatefulSet"]["spec"]["template"]["spec"]["containers"][0]["args"]
    head = (DEPLOY / "kubernetes" / "cluster.yml").read_text("utf-8").partition("apiVersion")[0]
    (named,) = [each["configMap"]["name"] for each in pod()["volumes"] if "configMap" in each]
    assert f"configmap {named} --from-file=config.json=deploy/cluster.json" in head


def test_the_database_is_the_one_that_the_url_names(config: Config) -> None:
    server = CLUSTER["services"]["db"]["environment"]
    assert (server["POSTGRES_USER"], server["POSTGRES_DB"]) == ("fulfilld", "fulfilld")
    assert config.storage.engine.url == "postgresql://db/fulfilld"
    assert "db" in CLUSTER["services"]
    assert server["POSTGRES_PASSWORD_FILE"] == f"/run/secrets/{CLUSTER['services']['db']['secrets'][0]}"


def test_secrets_are_where_the_config_has_them_and_kept_out_of_git() -> None:
    text = (DEPLOY / "cluster.json").read_text("utf-8")
    wanted = set(re.findall(r'{"file": "/run/secrets/([^"]+)"}', text))
    assert wanted == {"acme-token", "secret-key", "storage-url"}
    assert all(set(CLUSTER["services"][name]["secrets"]) == wanted for name in NODES)
    head = (DEPLOY / "kubernetes" / "cluster.yml").read_text("utf-8").partition("apiVersion")[0]
    (secret,) = [each["secret"]["secretName"] for each in pod()["volumes"] if "secret" in each]
    (line,) = [line for line in head.splitlines() if f"secret generic {secret} " in line]
    assert all(f"--from-file={name}" in line for name in wanted)
    ignored = (DEPLOY.parent / ".gitignore").read_text("utf-8").splitlines()
    files = {Path(each["file"]).name for each in CLUSTER["secrets"].values()}
    assert all(f"/deploy/{name}" in ignored or ("*-token" in ignored and name.endswith("-token")) for name in files)


def test_everything_that_is_written_is_on_a_volume(config: Config) -> None:
    written = {"/var/lib/fulfilld", str(config.api.socket.parent), str(config.status_file.parent)}
    for name in NODES:
        assert written == {volume.partition(":")[2] for volume in CLUSTER["services"][name]["volumes"]}
    mounts = {each["mountPath"]: each["name"] for each in container()["volumeMounts"] if not each.get("readOnly")}
    assert written < set(mounts)
    assert {each["name"] for each in pod()["volumes"]} == {each["name"] for each in container()["volumeMounts"]}


def test_a_new_version_joins_before_an_old_one_goes_and_one_always_stays() -> None:
    spec = PODS["Deployment"]["spec"]
    assert spec["replicas"] == 2
    assert spec["strategy"] == {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}}
    budget = PODS["PodDisruptionBudget"]["spec"]
    assert 0 < budget["minAvailable"] < spec["replicas"]
    (spread,) = pod()["topologySpreadConstraints"]
    selectors = [spec["selector"], budget["selector"], spread["labelSelector"]]
    assert all(each["matchLabels"] == LABELS for each in selectors)
    assert PODS["Service"]["spec"]["selector"] == LABELS


def test_the_end_is_given_longer_than_what_comes_before_it_and_a_drain(config: Config) -> None:
    name, seconds = container()["lifecycle"]["preStop"]["exec"]["command"]
    assert name == "sleep"
    assert pod()["terminationGracePeriodSeconds"] > int(seconds) + config.drain_seconds
    for node in NODES:
        assert int(CLUSTER["services"][node]["stop_grace_period"].removesuffix("s")) > config.drain_seconds


def test_a_pod_is_asked_guarded_and_reached_as_the_one_that_is_alone(config: Config) -> None:
    (alone,) = OBJECTS["StatefulSet"]["spec"]["template"]["spec"]["containers"]
    same = ("image", "ports", "startupProbe", "readinessProbe", "livenessProbe", "securityContext", "resources")
    assert {key: container()[key] for key in same} == {key: alone[key] for key in same}
    assert container()["readinessProbe"]["httpGet"]["path"] in PATHS
    assert config.monitoring is not None
    assert container()["ports"][0]["containerPort"] == config.monitoring.port
    assert pod()["securityContext"]["runAsUser"] == USER
    assert PODS["Service"]["spec"]["ports"] == OBJECTS["Service"]["spec"]["ports"]
    published = {CLUSTER["services"][name]["ports"][0] for name in NODES}
    assert published == {f"127.0.0.1:{config.monitoring.port + at}:{config.monitoring.port}" for at in range(2)}
