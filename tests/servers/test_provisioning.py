"""A bare machine becomes a server: what is on it then is asked of the machine itself, and from outside."""

import asyncio

import pytest

from activities.adapters.containers.command import run_program
from activities.adapters.servers.remote_shell import ssh_options
from contracts.errors import ErrorClass, ErrorCode, OrchestratorError
from contracts.servers.provisioning import ProvisionStepResult, StepName
from tests.support.eventually import eventually
from tests.support.servers.provisioned import SETTINGS, STEPS, Provisioned

pytestmark = [pytest.mark.deep, pytest.mark.containers, pytest.mark.timeout(900)]
Results = dict[StepName, ProvisionStepResult]
_CLOSED_PORT, _OPEN_PORT = 9000, SETTINGS.port_from


async def answers(host: str, port: int) -> bool:
    """Whether anything accepts a connection there; a firewall that drops packets says nothing."""
    try:
        async with asyncio.timeout(2):
            _, writer = await asyncio.open_connection(host, port)
    except (TimeoutError, OSError):
        return False
    writer.close()
    return True


async def test_a_machine_says_of_itself_that_all_is_as_it_should_be(first_run: Results) -> None:
    facts = first_run["verify"].facts
    assert facts is not None
    assert facts.checks
    assert all(facts.checks.values()), facts.checks
    assert facts.operating_system.startswith("Debian 12")
    assert facts.time_zone == SETTINGS.time_zone
    assert facts.not_checked == ["hostname", "clock", "swap", "settings of the kernel"]
    assert min(facts.memory_mb, facts.disk_free_mb, facts.processors) > 0


async def test_each_step_but_the_last_changed_something_on_a_bare_machine(first_run: Results) -> None:
    changed = {step: result.changed for step, result in first_run.items()}
    assert all(changed[step] > 0 for step in STEPS[:-1]), changed
    assert changed["verify"] == 0


async def test_a_second_run_changes_nothing(machine: Provisioned, first_run: Results) -> None:
    again = await machine.all_steps("task-again")
    assert {step: result.changed for step, result in again.items()} == dict.fromkeys(STEPS, 0)


async def test_sshd_says_what_the_role_promises(machine: Provisioned, first_run: Results) -> None:
    said = (await machine.server.says("sshd", "-T")).splitlines()
    promised = ["passwordauthentication no", "permitrootlogin no", "kbdinteractiveauthentication no", "maxauthtries 3",
                "x11forwarding no", "allowagentforwarding no", "maxstartups 50:30:100"]  # fmt: skip
    assert [one for one in promised if one not in said] == []
    assert not any("hmac-sha1" in line or "umac-64" in line for line in said if line.startswith("macs "))


async def test_nobody_gets_in_by_password_or_as_root(machine: Provisioned, first_run: Results) -> None:
    access = machine.server.access
    login = ["ssh", *ssh_options(access.known_hosts_file), "-i", str(access.key_file)]
    as_root = await run_program([*login, f"root@{access.host}", "true"])
    assert (as_root.code, "Permission denied" in as_root.error) == (255, True)
    methods = await run_program([*login, "-o", "PubkeyAuthentication=no", f"{access.user}@{access.host}", "true"])
    assert "(publickey)" in methods.error


async def test_services_run_and_start_with_the_machine(machine: Provisioned, first_run: Results) -> None:
    seen = machine.seen()

    def states() -> dict[str, tuple[bool, bool]]:
        names = ("ssh", "docker", "fail2ban", "ufw", "prometheus-node-exporter", "unattended-upgrades")
        return {name: (seen.service(name).is_running, seen.service(name).is_enabled) for name in names}

    assert {name for name, state in (await asyncio.to_thread(states)).items() if state != (True, True)} == set()


async def test_directories_and_the_user_are_as_deploys_expect(machine: Provisioned, first_run: Results) -> None:
    def look() -> None:
        seen = machine.seen()
        for path, mode in (("/srv", 0o755), ("/opt/orchestrator", 0o755), ("/etc/orchestrator/backup", 0o700)):
            directory = seen.file(path)
            assert (directory.is_directory, directory.user, directory.mode) == (True, "root", mode), path
        keys = seen.file("/home/orchestrator/.ssh/authorized_keys")
        assert (keys.user, keys.mode, len(keys.content_string.splitlines())) == ("orchestrator", 0o600, 1)
        assert seen.file("/etc/localtime").linked_to == f"/usr/share/zoneinfo/{SETTINGS.time_zone}"
        assert seen.package("restic").is_installed
        assert [one for one in seen.socket.get_listening_sockets() if one.endswith(":9100")] == ["tcp://127.0.0.1:9100"]

    await asyncio.to_thread(look)


async def test_the_front_door_is_open_and_what_docker_publishes_is_not(
    machine: Provisioned, first_run: Results
) -> None:
    server, host = machine.server, machine.server.access.host
    image = "tar -C / -c bin/busybox | docker import - busybox"
    run = "docker run --detach --publish {port}:80 busybox /bin/busybox httpd -f -p 80"
    busybox = await server.tries(f"apt-get install -y -qq busybox-static && {image} && {run.format(port=_CLOSED_PORT)}")
    assert busybox.code == 0, busybox.error
    listen = "systemd-run --quiet python3 -m http.server {port}"
    for port in (_OPEN_PORT, _CLOSED_PORT + 1):
        assert (await server.tries(listen.format(port=port))).code == 0

    async def listening() -> bool:
        tries = [
            await server.tries(f"curl --silent --fail --output /dev/null --max-time 5 http://127.0.0.1:{port}/")
            for port in (_OPEN_PORT, _CLOSED_PORT + 1)
        ]
        published = await server.tries(
            f"curl --silent --output /dev/null --max-time 5 http://127.0.0.1:{_CLOSED_PORT}/"
        )
        return all(one.code == 0 for one in [*tries, published])

    await eventually(listening, timeout=20, message="what listens on the machine")
    await eventually(lambda: answers(host, _OPEN_PORT), message="the front door")
    assert not await answers(host, _CLOSED_PORT), "a published port goes around the firewall"
    assert not await answers(host, _CLOSED_PORT + 1), "a port that no rule opens is open"
    assert not await answers(host, 9100)
    reaches_out = "docker run --rm busybox /bin/busybox wget -q -O /dev/null http://$(hostname -i):{port}/"
    assert (await server.tries(reaches_out.format(port=_OPEN_PORT))).code == 0, "a container reaches the front door"


async def test_published_ports_stay_closed_when_engine_and_firewall_begin_anew(
    machine: Provisioned, first_run: Results
) -> None:
    server, host = machine.server, machine.server.access.host
    for command in ("systemctl restart docker", "ufw reload", "systemctl restart ufw docker"):
        assert (await server.tries(command)).code == 0
        rules = (await server.says("iptables", "-S", "DOCKER-USER")).splitlines()
        assert rules.index("-A DOCKER-USER -j DROP") > rules.index("-A DOCKER-USER -i docker0 -j RETURN")
        assert (await server.says("iptables", "-S", "FORWARD")).splitlines()[1] == "-A FORWARD -j DOCKER-USER"
        assert not await answers(host, _CLOSED_PORT)


async def test_ports_of_another_range_are_opened_and_the_old_ones_closed(
    machine: Provisioned, first_run: Results
) -> None:
    settings = SETTINGS.model_copy(update={"port_from": 8100, "port_to": 8119})
    other = Provisioned(machine.server, machine.home, None, settings)
    assert (await other.step("front_door", "task-other-range")).changed > 0
    try:
        said = await machine.server.says("ufw", "status")
        assert "8100:8119/tcp" in said
        assert "8000:8019/tcp" not in said
        assert "22/tcp" in said
    finally:
        await machine.step("front_door", "task-old-range")
    assert "8000:8019/tcp" in await machine.server.says("ufw", "status")


async def test_the_same_request_is_the_same_run(machine: Provisioned, first_run: Results) -> None:
    task = "task-same"
    await machine.step("verify", task)
    told = [event.key for event in machine.recorder.events]
    pid = machine.supervisor.status(f"provision-{machine.server.name}-{task}-1-verify").pid
    await machine.step("verify", task)
    assert [event.key for event in machine.recorder.events] == told
    assert machine.supervisor.status(f"provision-{machine.server.name}-{task}-1-verify").pid == pid


async def test_the_password_of_the_provider_is_nowhere_afterwards(machine: Provisioned, first_run: Results) -> None:
    password = str(machine.server.first.password)
    kept = [file for file in machine.home.rglob("*") if file.is_file()]
    assert kept
    assert [file for file in kept if password in file.read_text(errors="replace")] == []
    on_machine = await machine.server.tries(f"grep -rlF -- '{password}' /etc /var/log /root /home /tmp")
    assert on_machine.text == ""


async def test_a_machine_that_is_not_as_it_should_be_is_refused_by_name(
    machine: Provisioned, first_run: Results
) -> None:
    await machine.server.says("systemctl", "stop", "prometheus-node-exporter")
    with pytest.raises(OrchestratorError) as caught:
        await machine.step("verify", "task-broken")
    assert caught.value.code is ErrorCode.PROVISION_VERIFY_FAILED
    assert caught.value.error_class is ErrorClass.PERMANENT
    assert "every service runs" in caught.value.message
    mended = await machine.step("monitoring", "task-mended")
    assert mended.changed == 1
    assert (await machine.step("verify", "task-mended")).facts is not None
