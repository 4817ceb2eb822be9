"""Logs: one line per record wherever it comes from, and never a secret."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
import structlog

from runtime.observability.logging import REDACTED, configure_logging, register_secret
from runtime.settings import Settings


@pytest.fixture
def log_file(tmp_path: Path) -> Iterator[Path]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    root.handlers = []
    path = tmp_path / "component.log"
    configure_logging(Settings(home=tmp_path, log_json=True), "worker", file=path)
    yield path
    for handler in root.handlers:
        handler.close()
    root.handlers = handlers
    root.setLevel(level)
    structlog.reset_defaults()
    structlog.contextvars.clear_contextvars()


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_structlog_and_standard_records_look_alike_and_carry_the_context(log_file: Path) -> None:
    structlog.contextvars.bind_contextvars(workflow_id="engineering/1")
    structlog.get_logger("ours").info("from structlog", attempt=2)
    logging.getLogger("theirs").warning("from %s", "logging", extra={"attempt": 2})
    ours, theirs = lines(log_file)
    for record, event, logger in ((ours, "from structlog", "ours"), (theirs, "from logging", "theirs")):
        assert record["event"] == event
        assert record["logger"] == logger
        assert record["component"] == "worker"
        assert record["workflow_id"] == "engineering/1"
        assert record["attempt"] == 2
        assert record["timestamp"].endswith("Z")


@pytest.mark.parametrize(
    "key",
    [
        "token",
        "bot_token",
        "client_secret",
        "password",
        "PGPASSWORD",
        "api_key",
        "apikey",
        "Authorization",
        "access_tokens",
    ],
)
def test_values_under_secret_names_are_hidden_at_any_depth(log_file: Path, key: str) -> None:
    structlog.get_logger().info("event", **{key: "value-1"}, headers={key: "value-2"}, items=[{key: "value-3"}])
    assert "value-" not in log_file.read_text()
    assert lines(log_file)[0][key] == REDACTED


def test_references_and_counters_stay_readable(log_file: Path) -> None:
    structlog.get_logger().info("event", secrets_ref="secret://p/1", tokens=12, output_tokens=3, key_id="key-1")
    (record,) = lines(log_file)
    assert record["secrets_ref"] == "secret://p/1"
    assert (record["tokens"], record["output_tokens"], record["key_id"]) == (12, 3, "key-1")


def test_a_registered_value_is_hidden_in_messages_values_and_tracebacks(log_file: Path) -> None:
    secret = f"hush-{uuid4()}"
    register_secret(secret)
    logger = structlog.get_logger()
    logger.info(f"message {secret}", url=f"https://user:{secret}@host", nested={"a": [secret]})
    logging.getLogger("theirs").info("argument %s", secret)
    try:
        raise ValueError(secret)
    except ValueError:
        logger.exception("it broke")
    text = log_file.read_text()
    assert secret not in text
    assert text.count(REDACTED) >= 5
    assert "ValueError" in text


def test_configuring_again_does_not_double_the_lines(log_file: Path, tmp_path: Path) -> None:
    configure_logging(Settings(home=tmp_path, log_json=True), "api", file=log_file)
    structlog.get_logger().info("once")
    assert [record["component"] for record in lines(log_file)] == ["api"]


def test_the_console_form_is_redacted_as_well(log_file: Path, tmp_path: Path) -> None:
    configure_logging(Settings(home=tmp_path), "cli", file=log_file)
    structlog.get_logger().info("readable", password="hidden-value")
    assert "readable" in log_file.read_text()
    assert "hidden-value" not in log_file.read_text()
