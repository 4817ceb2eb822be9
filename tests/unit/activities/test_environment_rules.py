"""Rendering the environment of a release: pure functions."""

import time

import pytest

from activities.rules.environment import bind_address, check_contract, render, sensitive_names
from contracts.errors import ErrorCode, OrchestratorError
from contracts.steps import Allocation, DeploymentPlan, EnvEntry, ServicePort, ServiceProcess

COMMIT = "c" * 40
PASSWORD = EnvEntry(name="DB_PASSWORD", source="generated_secret", consumers=["backend"])
DATABASE_URL = EnvEntry(
    name="DATABASE_URL", source="derived", consumers=["backend"], value="postgres://app:{DB_PASSWORD}@{host}/app"
)


def plan(*entries: EnvEntry, services: tuple[str, ...] = ("backend",)) -> DeploymentPlan:
    processes = [ServiceProcess(name=name, command=["{python}", "-m", name]) for name in services]
    return DeploymentPlan(commit=COMMIT, services=processes, environment=list(entries))


def rendered(
    wanted: DeploymentPlan, secrets: dict[str, str] | None = None, server_ip: str = "127.0.0.1"
) -> dict[str, dict[str, str]]:
    ports = [ServicePort(service=service.name, port=18000 + n) for n, service in enumerate(wanted.services)]
    allocation = Allocation(server_handle="local", server_ip=server_ip, ports=ports)
    return render(wanted, allocation, secrets or {}, project_id="p-1", project_name="blog", release_id="rel-1")


def refusal(*entries: EnvEntry, services: tuple[str, ...] = ("backend",)) -> str:
    with pytest.raises(OrchestratorError) as caught:
        check_contract(list(services), list(entries))
    assert caught.value.code is ErrorCode.ENV_CONTRACT_INVALID
    return caught.value.message


def test_every_service_gets_the_platforms_own_variables() -> None:
    both = rendered(plan(services=("backend", "tg_bot")))
    assert both["backend"] == {"PORT": "18000", "HOST": "127.0.0.1", "RELEASE_ID": "rel-1", "APP_COMMIT": COMMIT}
    assert both["tg_bot"]["PORT"] == "18001"


def test_a_value_goes_to_its_consumers_only_and_without_consumers_to_all() -> None:
    own = EnvEntry(name="TOKEN", source="user_secret", consumers=["tg_bot"])
    shared = EnvEntry(name="MODE", source="literal", value="production")
    both = rendered(plan(own, shared, services=("backend", "tg_bot")), {"TOKEN": "t"})
    assert ("TOKEN" in both["backend"], both["tg_bot"]["TOKEN"]) == (False, "t")
    assert both["backend"]["MODE"] == both["tg_bot"]["MODE"] == "production"


def test_an_address_is_derived_from_the_password_that_the_service_gets() -> None:
    values = rendered(plan(DATABASE_URL, PASSWORD), {"DB_PASSWORD": "generated-once"})["backend"]
    assert values["DATABASE_URL"] == f"postgres://app:{values['DB_PASSWORD']}@127.0.0.1/app"


def test_rendering_again_gives_the_same_values() -> None:
    wanted, secrets = plan(DATABASE_URL, PASSWORD), {"DB_PASSWORD": "generated-once"}
    assert rendered(wanted, secrets) == rendered(wanted, secrets)


def test_derived_values_know_the_project_and_the_ports() -> None:
    entry = EnvEntry(name="WHERE", source="derived", value="{project_name} http://{host}:{port} {tg_bot_port}")
    both = rendered(plan(entry, services=("backend", "tg_bot")))
    assert both["backend"]["WHERE"] == "blog http://127.0.0.1:18000 18001"
    assert both["tg_bot"]["WHERE"] == "blog http://127.0.0.1:18001 18001"


def test_a_secret_value_with_braces_is_not_expanded() -> None:
    values = rendered(plan(DATABASE_URL, PASSWORD), {"DB_PASSWORD": "{host}\\1{"})["backend"]
    assert values["DATABASE_URL"] == "postgres://app:{host}\\1{@127.0.0.1/app"


def test_an_allocation_is_the_services_own_port_or_that_of_the_named_one() -> None:
    own = EnvEntry(name="APP_PORT", source="allocation")
    other = EnvEntry(name="BACKEND_PORT", source="allocation", value="backend")
    both = rendered(plan(own, other, services=("backend", "tg_bot")))
    assert (both["tg_bot"]["APP_PORT"], both["tg_bot"]["BACKEND_PORT"]) == ("18001", "18000")


def test_a_missing_required_secret_is_named() -> None:
    with pytest.raises(OrchestratorError) as caught:
        rendered(plan(PASSWORD))
    assert caught.value.code is ErrorCode.SECRET_MISSING
    assert "DB_PASSWORD" in caught.value.message


def test_an_optional_value_that_is_missing_is_left_out_with_what_derives_from_it() -> None:
    optional = PASSWORD.model_copy(update={"required": False})
    derived = DATABASE_URL.model_copy(update={"required": False})
    assert {"DB_PASSWORD", "DATABASE_URL"}.isdisjoint(rendered(plan(optional, derived))["backend"])


def test_a_service_without_a_port_is_refused() -> None:
    allocation = Allocation(server_handle="local", server_ip="127.0.0.1", ports=[])
    with pytest.raises(OrchestratorError) as caught:
        render(plan(), allocation, {}, project_id="p", project_name="blog", release_id="rel-1")
    assert caught.value.code is ErrorCode.NO_PORT


def test_what_derives_from_a_secret_is_secret_too() -> None:
    twice = EnvEntry(name="COPY", source="derived", value="{DATABASE_URL}")
    plain = EnvEntry(name="URL", source="derived", value="http://{host}")
    assert sensitive_names([twice, DATABASE_URL, PASSWORD, plain]) == {"DB_PASSWORD", "DATABASE_URL", "COPY"}


@pytest.mark.parametrize(
    ("server_ip", "bound"),
    [("127.0.0.1", "127.0.0.1"), ("localhost", "127.0.0.1"), ("203.0.113.7", "0.0.0.0"), ("h.example", "0.0.0.0")],
)
def test_a_loopback_server_is_not_opened_to_the_world(server_ip: str, bound: str) -> None:
    assert bind_address(server_ip) == bound


def test_contract_mistakes_are_explained() -> None:
    literal = EnvEntry(name="MODE", source="literal", value="x")
    assert "listed twice" in refusal(literal, literal)
    assert "consumer bot" in refusal(literal.model_copy(update={"consumers": ["bot"]}))
    assert "must not have a value" in refusal(PASSWORD.model_copy(update={"value": "hunter2"}))
    assert "hunter2" not in refusal(PASSWORD.model_copy(update={"value": "hunter2"}))
    assert "has no value" in refusal(EnvEntry(name="MODE", source="literal"))
    assert "set by the platform" in refusal(EnvEntry(name="DATA_DIR", source="literal", value="/"))
    assert "{nowhere}" in refusal(EnvEntry(name="A", source="derived", value="{nowhere}"))
    assert "port of bot" in refusal(EnvEntry(name="A", source="allocation", value="bot"))


def test_values_that_derive_from_each_other_are_refused() -> None:
    one = EnvEntry(name="ONE", source="derived", value="{TWO}")
    two = EnvEntry(name="TWO", source="derived", value="{ONE}")
    assert "depend on itself" in refusal(one, two)


def doubling(levels: int) -> list[EnvEntry]:
    """Each twice as long as the one after it."""
    last = EnvEntry(name=f"A{levels}", source="literal", value="x")
    return [
        *(EnvEntry(name=f"A{n}", source="derived", value=f"{{A{n + 1}}}{{A{n + 1}}}") for n in range(levels)),
        last,
    ]


@pytest.mark.parametrize("levels", [16, 40, 199])
def test_values_that_double_at_every_level_are_refused_at_once(levels: int) -> None:
    began = time.process_time()
    assert "longer than" in refusal(*doubling(levels))
    assert time.process_time() - began < 5, "milliseconds; level by level anew, longer than anybody waits"


def test_a_secret_that_is_filled_in_too_often_is_refused_without_its_value() -> None:
    url = EnvEntry(name="URL", source="derived", value="{DB_PASSWORD}" * 20)
    with pytest.raises(OrchestratorError) as caught:
        rendered(plan(PASSWORD, url), {"DB_PASSWORD": "hunter2" * 300})
    assert caught.value.code is ErrorCode.ENV_CONTRACT_INVALID
    assert "hunter2" not in caught.value.message


def test_a_long_chain_of_derived_values_is_filled_in_whatever_its_order() -> None:
    chain = [EnvEntry(name=f"A{n}", source="derived", value=f"{{A{n + 1}}}") for n in range(150)]
    values = rendered(plan(*chain, EnvEntry(name="A150", source="literal", value="end")))["backend"]
    assert values["A0"] == "end"
    assert sensitive_names([*chain, EnvEntry(name="A150", source="user_secret")]) == {f"A{n}" for n in range(151)}
