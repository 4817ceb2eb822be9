"""Homes whose names projects' build tools cannot use are refused by `up` before anything is made."""

from __future__ import annotations

from pathlib import Path

import pytest

from cli.host import up
from contracts.errors import ErrorCode, OrchestratorError
from runtime.settings import Settings


@pytest.mark.parametrize("name", ["my home", "a\tb", "it's", "a$b", "a:b", "a,b", "a#1", "a%b", "a;b", "a*b", "a=b"])
def test_a_home_that_make_and_shells_take_apart_is_refused_and_not_made(tmp_path: Path, name: str) -> None:
    with pytest.raises(OrchestratorError) as refused:
        up._prepare_home(Settings(home=tmp_path / name))
    assert refused.value.code is ErrorCode.SETTINGS_INVALID
    assert "ORCHESTRATOR_HOME=" in refused.value.message
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["home", "jürgen", "дом", "a-b_c.d+e@f~1"])
def test_other_names_are_used(tmp_path: Path, name: str) -> None:
    up._prepare_home(Settings(home=tmp_path / name))
    assert (tmp_path / name / "keys" / "vault.json").exists()
