"""A contract only grows: what a planted change breaks is named, with the way to get it without breaking anybody."""

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from contracts import schema_export
from contracts.compatibility import ModelSchemas, incompatibilities

Change = Callable[[ModelSchemas], None]


@pytest.fixture(scope="module")
def released() -> ModelSchemas:
    return schema_export.read_models(schema_export.read_files(schema_export.RELEASED))


def _field(models: ModelSchemas, model: str, name: str) -> dict[str, Any]:
    field: dict[str, Any] = models[model]["properties"][name]
    return field


def _drop_model(models: ModelSchemas) -> None:
    del models["Actor"]


def _drop_field(models: ModelSchemas) -> None:
    del models["EngineeringMessage"]["properties"]["title"]


def _change_type(models: ModelSchemas) -> None:
    _field(models, "AnsibleDeployMessage", "port").update(type="string")


def _make_nullable(models: ModelSchemas) -> None:
    models["DeployMessage"]["properties"]["user_id"] = {"anyOf": [{"type": "integer"}, {"type": "null"}]}


def _change_reference(models: ModelSchemas) -> None:
    _field(models, "WorkerConfig", "agent").update({"$ref": "states.json#/$defs/Role"})


def _change_list_items(models: ModelSchemas) -> None:
    _field(models, "WorkerConfig", "capabilities")["items"] = {"type": "integer"}


def _require(models: ModelSchemas) -> None:
    models["EngineeringMessage"]["required"].append("title")


def _add_required(models: ModelSchemas) -> None:
    models["EngineeringMessage"]["properties"]["budget"] = {"type": "integer"}
    models["EngineeringMessage"]["required"].append("budget")


def _drop_enum_value(models: ModelSchemas) -> None:
    models["AgentKind"]["enum"].remove("claude-code")


def _change_version(models: ModelSchemas) -> None:
    _field(models, "QueueMeta", "version")["const"] = "2"


def _change_default(models: ModelSchemas) -> None:
    _field(models, "SendMessageCommand", "timeout")["default"] = 3600


def _drop_default(models: ModelSchemas) -> None:
    del _field(models, "ProvisionerMessage", "is_recovery")["default"]


def _tighten_maximum(models: ModelSchemas) -> None:
    _field(models, "AnsibleDeployMessage", "port")["maximum"] = 9999


def _raise_minimum(models: ModelSchemas) -> None:
    _field(models, "SendMessageCommand", "timeout")["minimum"] = 60


def _add_pattern(models: ModelSchemas) -> None:
    _field(models, "ScaffolderMessage", "project_name")["pattern"] = "^[a-z]+$"


def _restrict_values(models: ModelSchemas) -> None:
    _field(models, "ScaffolderMessage", "project_name")["enum"] = ["blog"]


def _tighten_inside_optional(models: ModelSchemas) -> None:
    next(one for one in _field(models, "EngineeringMessage", "title")["anyOf"] if "maxLength" in one)["maxLength"] = 5


def _refuse_unknown(models: ModelSchemas) -> None:
    models["TurnRequest"]["additionalProperties"] = False


def _drop_variant(models: ModelSchemas) -> None:
    models["WorkerCommand"]["oneOf"].pop()


BREAKING = [
    (_drop_model, "Actor: the model disappeared", "under this name"),
    (_drop_field, "EngineeringMessage.title: the field disappeared", "Put it back"),
    (_change_type, "AnsibleDeployMessage.port: the type changed from integer to string", "new optional field"),
    (_make_nullable, "DeployMessage.user_id: the type changed", "new optional field"),
    (_change_reference, "WorkerConfig.agent: the type changed from AgentKind to Role", "new optional field"),
    (_change_list_items, "WorkerConfig.capabilities[]: the type changed", "new optional field"),
    (_require, "EngineeringMessage.title: the field became required", "Give it a default"),
    (_add_required, "EngineeringMessage.budget: the new field is required", "Give it a default"),
    (_drop_enum_value, 'AgentKind: the value "claude-code" disappeared', "Put the value back"),
    (_change_version, 'QueueMeta.version: the value "1" disappeared', "Put the value back"),
    (_change_default, "SendMessageCommand.timeout: the default changed from 1800 to 3600", "Keep the default"),
    (_drop_default, "ProvisionerMessage.is_recovery: the default changed from false to none", "Keep the default"),
    (_tighten_maximum, "AnsibleDeployMessage.port: the limit maximum tightened from 65535 to 9999", "at the edge"),
    (_raise_minimum, "SendMessageCommand.timeout: the limit minimum tightened from 1 to 60", "at the edge"),
    (_add_pattern, "ScaffolderMessage.project_name: the limit pattern tightened from none", "at the edge"),
    (_restrict_values, 'ScaffolderMessage.project_name: only "blog" may be sent now', "at the edge"),
    (_tighten_inside_optional, "EngineeringMessage.title: the limit maxLength tightened", "at the edge"),
    (_refuse_unknown, "TurnRequest: unknown fields are refused now", "at the edge"),
    (_drop_variant, "WorkerCommand: the variant", "new optional field"),
]


@pytest.mark.parametrize(("change", "what", "advice"), BREAKING, ids=[change.__name__ for change, _, _ in BREAKING])
def test_a_breaking_change_is_named_and_the_message_teaches(
    change: Change, what: str, advice: str, released: ModelSchemas
) -> None:
    current = copy.deepcopy(released)
    change(current)
    problems = incompatibilities(released, current)
    assert len(problems) == 1, problems
    assert what in problems[0]
    assert advice in problems[0]


def _add_optional(models: ModelSchemas) -> None:
    models["EngineeringMessage"]["properties"]["budget"] = {"type": "integer", "default": 5}


def _add_model(models: ModelSchemas) -> None:
    models["Budget"] = {"type": "object", "properties": {"usd": {"type": "number"}}, "required": ["usd"]}


def _add_enum_value(models: ModelSchemas) -> None:
    models["AgentKind"]["enum"].append("codex")


def _widen(models: ModelSchemas) -> None:
    _field(models, "SendMessageCommand", "timeout")["maximum"] = 1_000_000
    models["EngineeringMessage"]["required"].remove("user_id")


def _describe(models: ModelSchemas) -> None:
    models["Actor"]["description"] = "who asked, in other words"


@pytest.mark.parametrize("change", [_add_optional, _add_model, _add_enum_value, _widen, _describe])
def test_growth_is_welcome(change: Change, released: ModelSchemas) -> None:
    current = copy.deepcopy(released)
    change(current)
    assert incompatibilities(released, current) == []


def test_todays_models_keep_what_was_released() -> None:
    assert schema_export.broken_promises(schema_export.RELEASED) == []


def test_the_committed_schemas_are_todays() -> None:
    assert schema_export.stale(schema_export.SCHEMAS) == []


def test_two_exports_are_equal_byte_for_byte() -> None:
    assert schema_export.export() == schema_export.export()


def test_regenerating_the_schemas_does_not_silence_the_guard(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    # The released copy promises a field that today's models do not have: as if it had been removed from them.
    promised = {name: text.replace('"spec_ref"', '"spec_reference"') for name, text in schema_export.export().items()}
    schema_export.write(tmp_path / "released", promised)
    monkeypatch.setattr(schema_export, "SCHEMAS", tmp_path)
    monkeypatch.setattr(schema_export, "RELEASED", tmp_path / "released")
    assert schema_export.main(["--write"]) == 0
    assert schema_export.main(["--check"]) == 0
    assert schema_export.main(["--compat", str(tmp_path / "released")]) == 1
    assert schema_export.main(["--release"]) == 1
    assert "EngineeringMessage.spec_reference: the field disappeared" in capsys.readouterr().out


def test_a_missing_release_is_red_and_not_silent(tmp_path: Path) -> None:
    assert "restore them from git" in schema_export.broken_promises(tmp_path)[0]


def test_a_stale_schema_file_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    schema_export.write(tmp_path, schema_export.export())
    (tmp_path / "base.json").write_text("{}")
    (tmp_path / "gone.json").write_text("{}")
    assert schema_export.stale(tmp_path) == ["base.json", "gone.json"]
    monkeypatch.setattr(schema_export, "SCHEMAS", tmp_path)
    assert schema_export.main(["--check"]) == 1


def test_every_reference_of_the_files_leads_to_a_definition() -> None:
    files = schema_export.read_files(schema_export.SCHEMAS)
    known = {
        f"{name}#/$defs/{model}" for name, text in files.items() for model in schema_export.read_models({name: text})
    }
    for name, text in files.items():
        for reference in _references(schema_export.read_models({name: text})):
            assert (name + reference if reference.startswith("#") else reference) in known


def _references(schema: object) -> list[str]:
    if isinstance(schema, list):
        return [found for item in schema for found in _references(item)]
    if isinstance(schema, dict):
        own = [schema["$ref"]] if isinstance(schema.get("$ref"), str) else []
        return own + [found for item in schema.values() for found in _references(item)]
    return []
