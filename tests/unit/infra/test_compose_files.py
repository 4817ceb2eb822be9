"""What docker-compose.yml and the image are made of agrees with the code, and with both generations of Compose."""

import json
import os
import re
import signal
import subprocess
import time
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

from contracts.names import SearchAttribute
from infra.engine_proxy.bodies import MARK
from infra.engine_proxy.names import MODELS
from runtime.embedded.dev_server import DYNAMIC_CONFIG
from runtime.settings import Settings

ROOT = Path(__file__).parents[3]
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
ONCE = {"bootstrap", "temporal-schema", "temporal-namespace"}

# Keys that docker-compose 1.29 and the Compose plugin both know, with the same meaning.
KNOWN_TO_BOTH = {
    "build", "cap_add", "cap_drop", "command", "depends_on", "device_cgroup_rules", "entrypoint", "environment",
    "healthcheck", "image", "init", "logging", "mem_limit", "networks", "pids_limit",
    "ports", "profiles", "read_only", "restart", "secrets",
    "security_opt", "stop_grace_period", "stop_signal", "tmpfs", "volumes",
}  # fmt: skip


def test_only_keys_that_both_generations_of_compose_know_are_used() -> None:
    assert {name for name in COMPOSE if not name.startswith("x-")} == {"services", "networks", "volumes", "secrets"}
    used = {key for service in SERVICES.values() for key in service}
    assert used <= KNOWN_TO_BOTH, used - KNOWN_TO_BOTH
    conditions = {after["condition"] for one in SERVICES.values() for after in one.get("depends_on", {}).values()}
    assert conditions == {"service_healthy", "service_completed_successfully"}


@pytest.mark.parametrize("name", sorted(SERVICES))
def test_each_service_comes_back_tells_its_health_and_cannot_fill_the_disk(name: str) -> None:
    service = SERVICES[name]
    assert service["restart"] == ("no" if name in ONCE else "unless-stopped")
    # The image of the Web UI has no program that could look.
    assert name in ONCE | {"temporal-ui"} or "healthcheck" in service
    assert service["logging"]["options"]["max-size"]


@pytest.mark.parametrize("name", sorted(SERVICES))
def test_no_service_can_take_the_memory_or_the_processes_of_the_machine(name: str) -> None:
    assert re.fullmatch(r"\d+[mg]|\$\{\w+:-\d+g\}", str(SERVICES[name]["mem_limit"]))
    assert 0 < SERVICES[name]["pids_limit"] <= 8000


def test_only_the_proxy_has_the_socket_and_only_the_agents_reach_the_proxy() -> None:
    near = {
        name for name, one in SERVICES.items() if any("docker.sock" in str(mount) for mount in one.get("volumes", []))
    }
    assert near == {"engine-proxy"}
    assert {name for name, one in SERVICES.items() if "engine" in one["networks"]} == {"engine-proxy", "worker-agents"}
    assert COMPOSE["networks"]["engine"] == {"internal": True}


def test_only_the_api_and_deployed_services_are_published() -> None:
    assert {name for name, one in SERVICES.items() if "ports" in one} == {"api", "server"}
    assert "127.0.0.1:8180}" in SERVICES["api"]["ports"][0]


def test_no_value_of_a_secret_is_in_an_environment() -> None:
    for name, service in SERVICES.items():
        for variable in service.get("environment", {}):
            named = re.search(r"PASSWORD|TOKEN|SECRET|PWD", variable)
            assert named is None or variable.endswith("_FILE"), (name, variable)


def test_every_limit_can_be_set_for_compose_too() -> None:
    passed_on = {name for name, value in COMPOSE["x-settings"].items() if value is None}
    fields = {f"ORCHESTRATOR_{name.upper()}": field for name, field in Settings.model_fields.items()}
    assert passed_on <= fields.keys()
    numbers = {name for name, field in fields.items() if field.annotation in {int, float}}
    # Backups are of an installation without Compose.
    elsewhere = {name for name in numbers if re.search(r"_PORT|ADMIN_USER_ID|WORKER_BEAT|_BACKUP_", name)}
    assert numbers - elsewhere <= passed_on


def test_the_server_has_the_settings_of_the_embedded_one() -> None:
    written = yaml.safe_load((ROOT / "infra/compose/temporal-dynamic-config.yaml").read_text())
    assert {key: json.dumps(entries[0]["value"]) for key, entries in written.items()} == dict(DYNAMIC_CONFIG)
    script = (ROOT / "infra/compose/temporal-namespace.sh").read_text()
    (names,) = re.findall(r"for name in (.*); do", script)
    assert tuple(names.split()) == SearchAttribute.ALL


def test_the_lock_of_the_image_is_a_part_of_the_lock() -> None:
    ours, everything = (_pins(ROOT / name) for name in ("requirements-image.txt", "requirements.txt"))
    assert ours <= everything, "make lock"
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    needed = {re.split(r"[\[<>=]", name)[0].replace(".", "-") for name in project["dependencies"]}
    names = {line.partition("==")[0] for line in ours}
    assert needed <= names, f"make lock: {needed - names}"
    left_out = {*project["optional-dependencies"]["embedded"], "pytest", "mypy", "playwright"}
    assert not left_out & names


def test_every_package_is_in_the_build_context() -> None:
    wheel = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["hatch"]["build"]["targets"]["wheel"]
    kept = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    assert set(wheel["packages"]) <= kept


def _pins(lock: Path) -> set[str]:
    return set(re.findall(r"^[a-z0-9.-]+==[^ ;]+", lock.read_text(), re.MULTILINE))


def test_a_worker_that_hangs_is_unhealthy_and_ended_so_that_it_is_started_again(tmp_path: Path) -> None:
    for name in ("worker-orchestrator", "worker-agents", "worker-infra"):
        assert SERVICES[name]["healthcheck"]["test"] == ["CMD", "worker-alive"]
    script = ROOT / "infra/compose/worker-alive.sh"
    seen = tmp_path / "quiet"
    text = script.read_text().replace("/tmp/quiet", str(seen))
    worker = subprocess.Popen(["sleep", "600"])
    ready = tmp_path / "ready"

    def code() -> int:
        env = {"PATH": os.environ["PATH"], "ORCHESTRATOR_READY_FILE": str(ready)}
        return subprocess.run(["/bin/sh", "-c", text], env=env, check=False).returncode

    def aged(file: Path, seconds: float) -> None:
        os.utime(file, (0, time.time() - seconds))

    try:
        assert code() == 1  # it is still starting
        ready.write_text(f"{worker.pid}\n")
        assert code() == 0
        aged(ready, 120)
        assert (code(), seen.exists(), worker.poll()) == (1, True, None)  # after a sleep of the machine
        ready.touch()
        assert (code(), seen.exists()) == (0, False)
        aged(ready, 120)
        assert code() == 1
        aged(seen, 60)
        assert code() == 1
        assert worker.wait(10) == -signal.SIGKILL
    finally:
        worker.kill()
        worker.wait()


def test_the_parts_know_that_compose_runs_them() -> None:
    for name in ("api", "worker-orchestrator", "worker-agents", "worker-infra", "bot"):
        settings = SERVICES[name]["environment"]
        assert settings["ORCHESTRATOR_STACK"] == "compose", name
    assert "forge:/var/lib/orchestrator/forge" in SERVICES["api"]["volumes"]


def test_only_the_model_proxy_has_keys_for_models_and_it_reaches_no_other_part_of_the_platform() -> None:
    keys = {"anthropic_api_key", "openai_api_key"}
    assert {name for name, one in SERVICES.items() if keys & set(one.get("secrets", []))} == {"model-proxy"}
    near = {name for name, one in SERVICES.items() if set(one["networks"]) & set(SERVICES["model-proxy"]["networks"])}
    assert near == {"model-proxy", "postgres"}
    assert COMPOSE["networks"]["model-data"] == {"internal": True}
    volume = COMPOSE["volumes"]["models"]
    name = re.sub(r"\$\{\w+:-(.*)\}", r"\1", volume["name"])
    assert re.fullmatch(MODELS, name)
    assert re.fullmatch(MODELS, f"{name}-another-stack")
    assert MARK in volume["labels"]
    assert (
        f"models:{Settings(home=Path('/var/lib/orchestrator')).model_socket.parent}"
        in SERVICES["model-proxy"]["volumes"]
    )
