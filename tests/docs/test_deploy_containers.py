"""The image, the compose file and the Kubernetes example fit the daemon and each other: paths, ports, users, times.

Neither an image nor a cluster is made here: what they are given is read, and the check of the image's health is run.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
from pathlib import Path
from typing import Any

import anyio
import pytest
import yaml

from orchestrator.api.monitoring import PATHS
from orchestrator.cli.place import Place
from orchestrator.config import Config, load
from tests.api.bench import bench

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
DOCKERFILE = (DEPLOY / "Dockerfile").read_text("utf-8").replace("\\\n", " ")
COMPOSE = yaml.safe_load((DEPLOY / "compose.yml").read_text("utf-8"))
OBJECTS = {
    each["kind"]: each for each in yaml.safe_load_all((DEPLOY / "kubernetes" / "fulfilld.yml").read_text("utf-8"))
}
CONFIG_PATH = "/etc/fulfilld/config.json"
SECRET = Path("/run/secrets/acme-token")
USER = 10001


def instructions(name: str) -> list[str]:
    """What the instruction has in the stage that is shipped."""
    return re.findall(rf"^{name} (.+)$", DOCKERFILE.rpartition("\nFROM ")[2], re.MULTILINE)


def variables() -> dict[str, str]:
    return dict(pair.split("=", 1) for line in instructions("ENV") for pair in line.split())


def pod() -> dict[str, Any]:
    found: dict[str, Any] = OBJECTS["StatefulSet"]["spec"]["template"]["spec"]
    return found


@pytest.fixture
def config(tmp_path: Path) -> Config:
    """The config for containers, with the secret where this machine can have it."""
    secret = tmp_path / "acme-token"
    secret.write_text("s3cret-of-acme\n", "utf-8")
    path = tmp_path / "config.json"
    path.write_text((DEPLOY / "container.json").read_text("utf-8").replace(str(SECRET), str(secret)), "utf-8")
    return load(path)


def test_nothing_runs_as_root_and_all_agree_on_who_does() -> None:
    assert instructions("USER") == [f"{USER}:{USER}"]
    assert f"--uid {USER}" in DOCKERFILE
    context = pod()["securityContext"]
    assert (context["runAsNonRoot"], context["runAsUser"], context["fsGroup"]) == (True, USER, USER)
    (container,) = pod()["containers"]
    assert not container["securityContext"]["allowPrivilegeEscalation"]
    assert container["securityContext"]["readOnlyRootFilesystem"]
    assert COMPOSE["services"]["fulfilld"]["read_only"]
    assert (
        COMPOSE["services"]["fulfilld"]["cap_drop"] == container["securityContext"]["capabilities"]["drop"] == ["ALL"]
    )


def test_only_what_is_locked_goes_into_the_image_and_no_tool_stays() -> None:
    assert re.search(r"pip install [^\n]*--require-hashes --requirement requirements/run\.lock", DOCKERFILE)
    assert re.search(r"pip install [^\n]*--no-deps --no-build-isolation \.", DOCKERFILE)
    assert re.search(r"pip uninstall --yes .*\bpip$", DOCKERFILE, re.MULTILINE)
    assert instructions("COPY") == ["--from=build /opt/fulfilld /opt/fulfilld"]


def test_what_is_copied_is_there_and_let_in() -> None:
    copied = {
        name for line in re.findall(r"^COPY (?!--from)(.+) \S+$", DOCKERFILE, re.MULTILINE) for name in line.split()
    }
    ignore = (DEPLOY / "Dockerfile.dockerignore").read_text("utf-8").splitlines()
    assert copied == {line[1:] for line in ignore if line.startswith("!")}
    assert all((ROOT / name).exists() for name in copied)


def test_the_image_runs_the_command_on_the_config_that_is_mounted() -> None:
    (entry,), (command,) = instructions("ENTRYPOINT"), instructions("CMD")
    (container,) = pod()["containers"]
    assert json.loads(entry) == ["fulfilld"]
    assert json.loads(command) == container["args"] == ["--config", CONFIG_PATH, "run"]
    assert {mount["mountPath"] for mount in container["volumeMounts"]} >= {str(Path(CONFIG_PATH).parent)}
    (mounted,) = COMPOSE["services"]["fulfilld"]["configs"]
    assert mounted["target"] == CONFIG_PATH
    assert COMPOSE["configs"][mounted["source"]]["file"] == "container.json"


def test_everything_that_is_written_is_on_a_volume(config: Config) -> None:
    (container,) = pod()["containers"]
    mounts = {mount["mountPath"] for mount in container["volumeMounts"] if not mount.get("readOnly")}
    volumes = {each.partition(":")[2] for each in COMPOSE["services"]["fulfilld"]["volumes"]}
    written = {str(config.state_directory), str(config.api.socket.parent), str(config.status_file.parent)}
    assert written <= volumes
    assert written <= mounts
    assert str(config.state_directory) in json.loads(instructions("VOLUME")[0])
    assert {each.partition(":")[0] for each in COMPOSE["services"]["fulfilld"]["volumes"]} == set(COMPOSE["volumes"])
    claimed = {each["metadata"]["name"] for each in OBJECTS["StatefulSet"]["spec"]["volumeClaimTemplates"]}
    named = {each["name"] for each in pod()["volumes"]} | claimed
    assert named == {mount["name"] for mount in container["volumeMounts"]}


def test_secrets_are_where_the_config_has_them() -> None:
    (container,) = pod()["containers"]
    assert f'{{"file": "{SECRET}"}}' in (DEPLOY / "container.json").read_text("utf-8")
    assert COMPOSE["services"]["fulfilld"]["secrets"] == [SECRET.name]
    assert {mount["mountPath"] for mount in container["volumeMounts"]} >= {str(SECRET.parent)}
    (secret,) = [each["secret"] for each in pod()["volumes"] if "secret" in each]
    first = (DEPLOY / "kubernetes" / "fulfilld.yml").read_text("utf-8").partition("apiVersion")[0]
    assert f"secret generic {secret['secretName']} --from-file={SECRET.name}" in first


def test_every_port_is_that_of_monitoring_which_others_reach(config: Config) -> None:
    assert config.monitoring is not None
    port = config.monitoring.port
    assert config.monitoring.host == "0.0.0.0"
    assert instructions("EXPOSE") == [str(port)]
    assert COMPOSE["services"]["fulfilld"]["ports"] == [f"127.0.0.1:{port}:{port}"]
    (container,) = pod()["containers"]
    (named,) = container["ports"]
    (served,) = OBJECTS["Service"]["spec"]["ports"]
    assert named["containerPort"] == served["port"] == port
    assert served["targetPort"] == named["name"]
    assert OBJECTS["StatefulSet"]["spec"]["template"]["metadata"]["annotations"]["prometheus.io/port"] == str(port)


def test_probes_ask_what_is_served() -> None:
    (container,) = pod()["containers"]
    probes = {name: each["httpGet"] for name, each in container.items() if name.endswith("Probe")}
    assert {name: probe["path"] for name, probe in probes.items()} == {
        "startupProbe": "/v1/ready",
        "readinessProbe": "/v1/ready",
        "livenessProbe": "/v1/health",
    }
    assert {probe["path"] for probe in probes.values()} <= PATHS
    assert {probe["port"] for probe in probes.values()} == {container["ports"][0]["name"]}


def test_the_end_is_given_longer_than_a_drain(config: Config) -> None:
    assert pod()["terminationGracePeriodSeconds"] > config.drain_seconds
    assert int(COMPOSE["services"]["fulfilld"]["stop_grace_period"].removesuffix("s")) > config.drain_seconds


def test_there_is_one_daemon_a_store_and_labels_find_it() -> None:
    spec = OBJECTS["StatefulSet"]["spec"]
    assert spec["replicas"] == 1
    labels = spec["template"]["metadata"]["labels"]
    assert spec["selector"]["matchLabels"] == OBJECTS["Service"]["spec"]["selector"] == labels
    assert spec["serviceName"] == OBJECTS["Service"]["metadata"]["name"]


def test_commands_in_the_container_find_the_socket(config: Config) -> None:
    found = Place(None, None, None, environ=variables()).address()
    assert found.socket == config.api.socket


@pytest.mark.parametrize("is_ready", [True, False])
async def test_the_image_is_healthy_when_the_daemon_is_ready(is_ready: bool) -> None:
    (check,) = instructions("HEALTHCHECK")
    command = json.loads(check.partition("CMD ")[2])
    async with bench() as b:
        b.node.is_ready = is_ready
        environ = {**os.environ, "FULFILLD_SOCKET": str(b.served.socket)}
        done = await anyio.run_process(command, env=environ, check=False)
    assert (done.returncode == 0) == is_ready, done.stderr


def test_a_daemon_that_is_not_there_is_not_healthy(tmp_path: Path) -> None:
    command = json.loads(instructions("HEALTHCHECK")[0].partition("CMD ")[2])
    environ = {**os.environ, "FULFILLD_SOCKET": str(tmp_path / "none.sock")}
    assert subprocess.run(command, env=environ, check=False, capture_output=True).returncode != 0
