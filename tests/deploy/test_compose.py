"""docker-compose.yml agrees with Compose's schema in what we use of it, and with the code."""

from __future__ import annotations

import shutil
import subprocess
from typing import Any

import pytest
import yaml

from tests.deploy import compose

DOCUMENT = compose.load()
SERVICES: dict[str, dict[str, Any]] = DOCUMENT["services"]
OURS = compose.ours(DOCUMENT)
GATEWAYS = {name: service for name, service in OURS.items() if name.startswith("gateway-")}

_SERVICE_KEYS = {
    *(
        "build",
        "cap_add",
        "cap_drop",
        "command",
        "depends_on",
        "deploy",
        "environment",
        "healthcheck",
        "image",
        "init",
        "logging",
    ),
    *("networks", "ports", "read_only", "restart", "secrets", "security_opt", "shm_size", "stop_grace_period", "stop_signal"),
    *("tmpfs", "volumes"),
}
_CONDITIONS = {"service_healthy", "service_completed_successfully", "service_started"}
# Read by others than gateway_project/env.py: uvicorn.
_FOREIGN = {"FORWARDED_ALLOW_IPS"}


def test_only_keys_that_compose_knows():
    assert {key for key in DOCUMENT if not key.startswith("x-")} == {"name", "services", "networks", "volumes", "secrets"}
    for name, service in SERVICES.items():
        assert set(service) <= _SERVICE_KEYS, name
        assert set(service["deploy"]) == {"resources"}, name


@pytest.mark.parametrize("kind", ["networks", "secrets"])
def test_what_services_name_is_declared(kind):
    for name, service in SERVICES.items():
        assert set(service.get(kind, [])) <= set(DOCUMENT[kind]), name


def test_named_volumes_are_declared_and_mounted_once():
    mounted = [volume.partition(":")[0] for service in SERVICES.values() for volume in service.get("volumes", [])]
    named = [volume for volume in mounted if not volume.startswith("./")]
    assert sorted(named) == sorted(DOCUMENT["volumes"])
    assert all((compose.ROOT / volume).exists() for volume in mounted if volume.startswith("./"))


def test_dependencies_can_be_met():
    for name, service in SERVICES.items():
        for other, wanted in service.get("depends_on", {}).items():
            assert wanted["condition"] in _CONDITIONS
            if wanted["condition"] == "service_healthy":
                has_check = "healthcheck" in SERVICES[other] or other in OURS  # the image brings one
                assert has_check, f"{name} waits for the health of {other}"
            if wanted["condition"] == "service_completed_successfully":
                assert SERVICES[other]["restart"] == "no", f"{other} never completes"


def test_every_service_is_bounded_and_comes_back():
    for name, service in SERVICES.items():
        assert set(service["deploy"]["resources"]["limits"]) == {"cpus", "memory"}, name
        assert service["restart"] == ("no" if name == "migrate" else "unless-stopped"), name
        assert service["logging"]["options"]["max-file"], name


def test_our_containers_have_no_rights_they_do_not_need():
    for name, service in OURS.items():
        assert service["read_only"] is True, name
        assert service["cap_drop"] == ["ALL"], name
        assert service["security_opt"] == ["no-new-privileges:true"], name
        assert "user" not in service, "the image's user is the one without rights"


def test_gateways_differ_in_their_spool_only():
    assert len(GATEWAYS) == 2
    without_volumes = [{key: value for key, value in service.items() if key != "volumes"} for service in GATEWAYS.values()]
    assert without_volumes[0] == without_volumes[1]
    volumes = {service["volumes"][0] for service in GATEWAYS.values()}
    assert len(volumes) == 2
    assert all(volume.endswith(":/data") for volume in volumes)


def test_nothing_but_the_proxy_is_published():
    assert [name for name, service in SERVICES.items() if "ports" in service] == ["proxy"]
    assert DOCUMENT["networks"]["servers"] == {"internal": True}
    for name in ("postgres", "valkey"):
        assert SERVICES[name]["networks"] == ["servers"]


def test_every_variable_is_one_that_the_code_reads():
    known = compose.variables_read()
    for name, service in OURS.items():
        for variable in service["environment"]:
            assert compose.is_read(variable, known) or variable in _FOREIGN, f"{name}: {variable}"


def test_secrets_come_from_files_and_no_value_is_in_the_file():
    known = compose.variables_read()
    for name, service in OURS.items():
        files = {value for variable, value in service["environment"].items() if variable.endswith("_FILE")}
        assert files == {f"/run/secrets/{secret}" for secret in service["secrets"]}, name
    secret_variables = {
        variable for variable in known if variable.endswith(("_KEY", "_KEYS", "_PASSWORD")) or variable == "DATABASE_URL"
    }
    for name, service in OURS.items():
        assert not (secret_variables - {"GATEHOUSE_REQUIRE_API_KEY"}) & set(service["environment"]), name
    assert all(secret["file"].startswith("deploy/secrets/") for secret in DOCUMENT["secrets"].values())


@pytest.mark.parametrize("name", sorted(OURS))
def test_commands_exist(name):
    command = OURS[name]["command"]
    assert command[0] == "python"
    if command[1] == "-m":
        module = command[2]
        assert module == "celery" or (compose.ROOT / f"{module.replace('.', '/')}.py").exists()
        assert module != "celery" or {"--app=gateway_project"} <= set(command)
    else:
        assert (compose.ROOT / command[1]).exists()
        assert list(compose.ROOT.glob(f"*/management/commands/{command[2]}.py"))


def test_gateways_keep_connections_longer_than_the_proxy():
    config = (compose.ROOT / "deploy/haproxy.cfg").read_text(encoding="utf-8")
    assert "timeout http-keep-alive 3m" in config
    for service in GATEWAYS.values():
        assert int(service["environment"]["GATEHOUSE_KEEP_ALIVE_SECONDS"]) > 180


def test_the_proxy_knows_the_gateways_by_name():
    config = (compose.ROOT / "deploy/haproxy.cfg").read_text(encoding="utf-8")
    for name in GATEWAYS:
        assert f"-{name}:8787}}" in config
    assert 'bind "${GATEHOUSE_BIND-:8080}"' in config
    assert SERVICES["proxy"]["ports"] == ["127.0.0.1:8787:8080"]


def test_https_changes_what_exists():
    extra = yaml.safe_load((compose.ROOT / "deploy/compose.tls.yml").read_text(encoding="utf-8"))
    assert set(extra["services"]) <= set(SERVICES)
    words = extra["services"]["proxy"]["command"]
    assert words[: len(SERVICES["proxy"]["command"])] == SERVICES["proxy"]["command"]
    mounted = {volume.split(":")[1] for volume in SERVICES["proxy"]["volumes"]}
    assert {word for word in words if word.endswith(".cfg")} == mounted
    known = compose.variables_read()
    assert all(compose.is_read(name, known) for gateway in GATEWAYS for name in extra["services"][gateway]["environment"])


def test_postgres_is_the_embedded_one_s_release():
    from gateway_project.embedded.postgres import MAJOR

    assert SERVICES["postgres"]["image"].endswith(f"-pg{MAJOR}")


def _has_compose() -> bool:
    docker = shutil.which("docker")
    return (
        docker is not None and subprocess.run([docker, "compose", "version"], capture_output=True, check=False).returncode == 0
    )


# Docker's client is no part of this project; the other tests of this file read the file without it.
@pytest.mark.skipif(not _has_compose(), reason="the docker client here has no compose")
def test_compose_itself_accepts_it():
    command = ["docker", "compose", "--file", "docker-compose.yml", "config", "--quiet"]
    done = subprocess.run(command, cwd=compose.ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
