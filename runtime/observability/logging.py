"""Logs: structlog through the standard library, one redaction for everything that is written."""

from __future__ import annotations

import logging
import re
import sys
from collections.abc import Mapping, MutableMapping
from pathlib import Path
from typing import Any

import structlog

from contracts.redaction import redacted
from runtime.observability.telemetry import add_trace_ids
from runtime.settings import Settings

REDACTED = "[redacted]"
_SECRET_KEY = re.compile(r"token|secret|password|passwd|api_?key|authorization|credential|private_?key", re.I)
# References are named after what they point to, and are not secret themselves.
_REFERENCE_KEY = re.compile(r"_(ref|refs|id|ids|name|names|file)$", re.IGNORECASE)
_MIN_SECRET_LENGTH = 6
# httpx logs each request's URL, aiosqlite and asyncio each step; none is of use below a warning.
_NOISY = ("httpx", "httpcore", "asyncio", "urllib3")

_known_secrets: set[str] = set()


def register_secret(value: str) -> None:
    """Never write this literal value again, wherever it occurs.

    Values of fewer than six characters are ignored: they would redact ordinary words.
    """
    if len(value) >= _MIN_SECRET_LENGTH:
        _known_secrets.add(value)


def redact(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:  # noqa: ANN401 - structlog's processor signature
    """structlog processor: hides values under secret-looking keys and every registered value."""
    return {key: _clean(key, value) for key, value in event.items()}


def redact_text(text: str) -> str:
    """`text` without any registered value, in whatever form it was written."""
    return redacted(text, _known_secrets, REDACTED) if _known_secrets else text


def configure_logging(settings: Settings, component: str, *, file: Path | None = None) -> None:
    """Send structlog and standard-library records to stderr or `file`; a second call replaces the first."""
    shared = _shared_processors(component)
    handler = (
        logging.FileHandler(file, encoding="utf-8", errors="backslashreplace")
        if file
        else logging.StreamHandler(sys.stderr)
    )
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                *_rendering(settings.log_json, colors=file is None and sys.stderr.isatty()),
            ],
        )
    )
    root = logging.getLogger()
    for old in root.handlers[:]:
        root.removeHandler(old)
        old.close()
    root.addHandler(handler)
    root.setLevel(settings.log_level)
    for name in _NOISY:
        logging.getLogger(name).setLevel(logging.WARNING)
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        wrapper_class=structlog.stdlib.BoundLogger,
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=False,
    )


def _shared_processors(component: str) -> list[structlog.typing.Processor]:
    def add_component(
        _logger: Any,  # noqa: ANN401 - structlog's processor signature
        _method: str,
        event: MutableMapping[str, Any],
    ) -> MutableMapping[str, Any]:
        event.setdefault("component", component)
        return event

    return [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.add_log_level,
        structlog.stdlib.PositionalArgumentsFormatter(),
        structlog.stdlib.ExtraAdder(),
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.StackInfoRenderer(),
        add_component,
        add_trace_ids,
    ]


def _rendering(as_json: bool, *, colors: bool) -> list[structlog.typing.Processor]:
    # The traceback becomes text before the redaction, so that a secret in an exception's message is caught.
    processors: list[structlog.typing.Processor] = [structlog.processors.format_exc_info, redact]
    if as_json:
        return [*processors, structlog.processors.JSONRenderer(default=str, ensure_ascii=False)]
    return [*processors, structlog.dev.ConsoleRenderer(colors=colors)]


def _clean(key: str, value: Any) -> Any:  # noqa: ANN401 - any value can be logged
    if _is_secret(key, value):
        return REDACTED
    if isinstance(value, str):
        return redact_text(value)
    if isinstance(value, Mapping):
        return {name: _clean(str(name), item) for name, item in value.items()}
    if isinstance(value, list | tuple | set):
        return [_clean("", item) for item in value]
    if value is None or isinstance(value, bool | int | float):
        return value
    return redact_text(str(value))


def _is_secret(key: str, value: Any) -> bool:  # noqa: ANN401 - any value can be logged
    if value in (None, "") or not _SECRET_KEY.search(key) or _REFERENCE_KEY.search(key):
        return False
    # A number of tokens is a count; a number as a password is still a password.
    return not ("token" in key.lower() and isinstance(value, int | float))
