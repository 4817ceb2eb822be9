"""Which layers new servers are given: others when anything changes that they are made of."""

import re
from pathlib import Path

import pytest

from activities.adapters.forge.scaffold import TEMPLATE, CopierScaffolder
from activities.adapters.servers import service_layers
from activities.adapters.servers.service_layers import digest_of, layer_sources, scaffolding, stages_of

_DOCKERFILE = (TEMPLATE / "project" / "Dockerfile.jinja").read_text()
_REGISTRY = {".registry/ca.crt": "CERTIFICATE", ".registry/pip.conf": "[global]\n"}


@pytest.mark.parametrize("changed", [{}, _REGISTRY | {".registry/pip.conf": ""}, _REGISTRY | {"another": ""}])
def test_another_way_to_the_packages_makes_other_layers(changed: dict[str, str]) -> None:
    assert digest_of(changed, "base", "server") != digest_of(_REGISTRY, "base", "server")


def test_another_base_or_server_makes_other_layers() -> None:
    digests = {digest_of(_REGISTRY, *others) for others in (("base", "server"), ("b", "server"), ("base", "s"))}
    assert len(digests) == 3


@pytest.mark.parametrize("name", service_layers._SOURCES)
def test_another_template_makes_other_layers(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = digest_of(_REGISTRY, "base")
    for one in service_layers._SOURCES:
        (tmp_path / one).parent.mkdir(exist_ok=True)
        (tmp_path / one).write_bytes((TEMPLATE / one).read_bytes())
    monkeypatch.setattr(service_layers, "TEMPLATE", tmp_path)
    assert digest_of(_REGISTRY, "base") == before
    (tmp_path / name).write_text("another")
    assert digest_of(_REGISTRY, "base") != before


def test_layers_that_other_code_has_built_are_not_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = digest_of(_REGISTRY, "base")
    another = tmp_path / "service_layers.py"
    another.write_text("another")
    monkeypatch.setattr(service_layers, "_THIS", another)
    assert digest_of(_REGISTRY, "base") != before


def test_the_order_of_files_changes_nothing() -> None:
    assert digest_of(dict(reversed(_REGISTRY.items())), "base") == digest_of(_REGISTRY, "base")


def test_everything_that_the_template_copies_before_the_code_is_a_source() -> None:
    """A file that is copied and is no source would leave servers with layers that no build can use."""
    copied = re.findall(r"^COPY (?!--from)(.+) \S+$", _DOCKERFILE, re.MULTILINE)
    names = {name for line in copied for name in line.split()}
    assert names == {"requirements.txt", ".registry*", "services"}
    assert "project/requirements.txt.jinja" in service_layers._SOURCES


async def test_pages_need_no_layers_of_their_own(tmp_path: Path) -> None:
    """The image of a project with pages begins with the layers of the same project without them."""
    texts = {}
    for modules in (("backend",), ("backend", "web"), ("backend", "tg_bot"), ("backend", "tg_bot", "web")):
        place = tmp_path / "-".join(modules)
        await CopierScaffolder().generate(scaffolding(modules), place)
        texts[modules] = [(place / name).read_text() for name in ("Dockerfile", "requirements.txt")]
    assert texts[("backend", "web")] == texts[("backend",)]
    assert texts[("backend", "tg_bot", "web")] == texts[("backend", "tg_bot")]


async def test_each_choice_of_modules_is_built_with_all_its_stages(tmp_path: Path) -> None:
    sources = await layer_sources(tmp_path, _REGISTRY)
    assert [one.tag.partition(":")[2] for one in sources] == ["backend", "backend.tg_bot", "tg_bot"]
    assert all(one.stages == stages_of(_DOCKERFILE) == ["runtime", "packages"] for one in sources)
    assert len({one.context.read_bytes() for one in sources}) == 3
