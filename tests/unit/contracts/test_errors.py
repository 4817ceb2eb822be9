"""Errors that cross a boundary are bounded, have a stable code, and say whether a repeat can help."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.errors import (
    HTTP_STATUS,
    MAX_DETAIL,
    MAX_MESSAGE,
    ErrorClass,
    ErrorCode,
    OrchestratorError,
    bounded,
)


@given(st.text(max_size=300), st.integers(min_value=60, max_value=200))
def test_a_bounded_text_is_never_longer_and_short_ones_are_unchanged(text: str, limit: int) -> None:
    cut = bounded(text, limit)
    assert len(cut) <= limit
    assert cut == text or len(text) > limit


def test_the_start_and_the_end_of_a_long_text_stay() -> None:
    cut = bounded("what happened" + "." * 500 + "the reason", 100)
    assert cut.startswith("what happened")
    assert cut.endswith("the reason")


def test_message_and_details_are_bounded() -> None:
    error = OrchestratorError(ErrorCode.TESTS_FAILED, "m" * 9_000, details={"log": "d" * 9_000, "code": 3})
    assert len(error.message) <= MAX_MESSAGE
    assert len(error.details["log"]) <= MAX_DETAIL
    assert error.details["code"] == "3"


@pytest.mark.parametrize(
    ("error_class", "retryable"),
    [
        (ErrorClass.TRANSIENT, True),
        (ErrorClass.UPSTREAM, True),
        (ErrorClass.PERMANENT, False),
        (ErrorClass.FATAL, False),
    ],
)
def test_only_transient_and_upstream_errors_are_worth_a_repeat(error_class: ErrorClass, retryable: bool) -> None:
    assert OrchestratorError(ErrorCode.INTERNAL, "x", error_class=error_class).retryable is retryable


@pytest.mark.parametrize("code", list(ErrorCode))
def test_every_code_is_its_own_name_and_answers_with_an_error_status(code: ErrorCode) -> None:
    assert code.value == code.name
    assert 400 <= OrchestratorError(code, "x").http_status < 600


def test_what_the_caller_did_wrong_never_answers_as_our_fault() -> None:
    away = {ErrorCode.TEMPORAL_UNREACHABLE, ErrorCode.API_UNREACHABLE, ErrorCode.DATABASE_UNREACHABLE}
    disks = {ErrorCode.ARTIFACT_DISK_FULL, ErrorCode.DATABASE_DISK_FULL, ErrorCode.DOCKER_DISK_FULL}
    providers = {ErrorCode.PROVIDER_UNREACHABLE, ErrorCode.PROVIDER_THROTTLED}
    parts = {ErrorCode.DOCKER_UNREACHABLE, ErrorCode.SERVER_UNREACHABLE, ErrorCode.BACKUP_UNREACHABLE}
    ours = away | disks | providers | parts
    assert all(status < 500 for code, status in HTTP_STATUS.items() if code not in ours)
