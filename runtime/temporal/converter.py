"""How values become payloads: pydantic JSON, a size limit, encryption; failures are encrypted as well.

What is not authentic is refused where the value is used: see `runtime.temporal.codec`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from temporalio import activity, workflow
from temporalio.api.common.v1 import Payload, Payloads
from temporalio.api.failure.v1 import Failure
from temporalio.contrib.pydantic import PydanticPayloadConverter
from temporalio.converter import (
    DataConverter,
    DefaultFailureConverterWithEncodedAttributes,
    FailureConverter,
    PayloadCodec,
    PayloadConverter,
)
from temporalio.exceptions import ApplicationError

from contracts.errors import ErrorClass, ErrorCode, OrchestratorError, bounded
from contracts.outside_text import cleaned
from runtime.keyring import KeyRing
from runtime.temporal.codec import MAX_CLEAR_BYTES, EncryptionCodec, FileCodec, not_authentic, refusal_in

MAX_PAYLOAD_BYTES = MAX_CLEAR_BYTES
MAX_FAILURE_TEXT = 16_000
ACCEPTED_UPDATE_ENDED = "AcceptedUpdateCompletedWorkflow"
"""The server's own failure of an update whose workflow has ended."""

_TYPE = "type"


class BoundedPayloadConverter(PydanticPayloadConverter):
    """Pydantic JSON that refuses a value of more than 262,144 bytes before it leaves the process.

    The check is here and not in the codec: an error of the codec fails the workflow *task*, which is retried
    without end, while an error of the converter is raised where the value was used and fails the workflow or the
    activity with the code PAYLOAD_TOO_LARGE, once. Outside both, OrchestratorError is raised.
    """

    def to_payloads(self, values: Sequence[Any]) -> list[Payload]:
        """One payload for each value."""
        payloads = super().to_payloads(values)
        for payload in payloads:
            if len(payload.data) > MAX_PAYLOAD_BYTES:
                raise _too_large(len(payload.data))
        return payloads

    def from_payloads(self, payloads: Sequence[Payload], type_hints: list[type] | None = None) -> list[Any]:
        """One value for each payload; raises the reason for one that the codec has refused."""
        for payload in payloads:
            if (refusal := refusal_in(payload)) is not None:
                raise _where_it_is_used(refusal)
        return super().from_payloads(payloads, type_hints)


class BoundedFailureConverter(DefaultFailureConverterWithEncodedAttributes):
    """Messages, stack traces and details of failures go through the codec, and are cut to the size limit.

    A failure that is too large to be reported would otherwise be reported again and again.
    """

    def to_failure(self, exception: BaseException, payload_converter: PayloadConverter, failure: Failure) -> None:
        """Fill in `failure`; details above the limit are replaced by their size."""
        try:
            super().to_failure(exception, _UNBOUNDED, failure)
        except ValueError:
            failure.Clear()
            super().to_failure(_in_clean_words(exception), _UNBOUNDED, failure)
        (common,) = payload_converter.from_payloads([failure.encoded_attributes])
        cut = {name: bounded(str(text), MAX_FAILURE_TEXT) for name, text in common.items()}
        cut[_TYPE] = failure.application_failure_info.type
        failure.encoded_attributes.CopyFrom(_UNBOUNDED.to_payloads([cut])[0])
        for details in (failure.application_failure_info.details, failure.canceled_failure_info.details):
            _drop_too_large(details)

    def from_failure(self, failure: Failure, payload_converter: PayloadConverter) -> BaseException:
        """The exception; a failure that is not authentic, or has parts that are not, says only that."""
        honest = _without_forgeries(_without_the_servers_words(failure), payload_converter)
        return super().from_failure(honest, payload_converter)


class FileFailureConverter(BoundedFailureConverter):
    """For histories from files, whose failures may be in the clear."""

    def from_failure(self, failure: Failure, payload_converter: PayloadConverter) -> BaseException:
        """The exception as it was recorded."""
        return DefaultFailureConverterWithEncodedAttributes.from_failure(self, failure, payload_converter)


def build_data_converter(keyring: KeyRing) -> DataConverter:
    """The one data converter of everything that is connected to a Temporal server."""
    return _converter(EncryptionCodec(keyring), BoundedFailureConverter)


def file_converter(keyring: KeyRing) -> DataConverter:
    """For histories from files only: payloads may be in the clear, and of any workflow."""
    return _converter(FileCodec(keyring), FileFailureConverter)


def _converter(codec: PayloadCodec, failures: type[FailureConverter]) -> DataConverter:
    return DataConverter(
        payload_converter_class=BoundedPayloadConverter,
        payload_codec=codec,
        failure_converter_class=failures,
    )


_UNBOUNDED = PydanticPayloadConverter()


def _in_clean_words(exception: BaseException) -> ApplicationError:
    """One whose words no message can hold. Unsaid, it would lose its code and the bound of its retries."""
    known = exception if isinstance(exception, ApplicationError) else None
    return ApplicationError(
        cleaned(str(exception)),
        type=known.type if known else type(exception).__name__,
        non_retryable=known is not None and known.non_retryable,
    )


def _without_the_servers_words(failure: Failure) -> Failure:
    """A cancel that meets an activity which nobody works on is confirmed by the server, with a word of its own.

    A cancel says as much without its details, so whoever forges some gains nothing.
    """
    details = failure.canceled_failure_info.details.payloads
    if all(refusal_in(payload) is None for payload in details):
        return failure
    bare = Failure()
    bare.CopyFrom(failure)
    bare.canceled_failure_info.ClearField("details")
    return bare


def _without_forgeries(failure: Failure, payload_converter: PayloadConverter) -> Failure:
    info = failure.application_failure_info
    lists = (info.details, failure.canceled_failure_info.details, failure.timeout_failure_info.last_heartbeat_details)
    payloads = [failure.encoded_attributes, *(payload for each in lists for payload in each.payloads)]
    refusal = next((found for payload in payloads if (found := refusal_in(payload)) is not None), None)
    if refusal is None and _claims_what_was_not_sealed(failure, payload_converter):
        refusal = not_authentic("its text or its type was not encrypted")
    if refusal is None:
        return failure
    honest = Failure(message=refusal.message, source=failure.source)
    honest.application_failure_info.type = refusal.code.value
    honest.application_failure_info.non_retryable = True
    if failure.HasField("cause"):
        honest.cause.CopyFrom(failure.cause)
    return honest


def _claims_what_was_not_sealed(failure: Failure, payload_converter: PayloadConverter) -> bool:
    """Whether a failure claims to be of the product's code without a payload that says the same.

    The type is read by the server and stands outside; another payload of the workflow is no text of a failure. What the
    server itself writes (a time-out, a cancel) is of other kinds, but for one.
    """
    kind = failure.application_failure_info.type
    if not failure.HasField("application_failure_info") or kind == ACCEPTED_UPDATE_ENDED:
        return False
    if not failure.HasField("encoded_attributes"):
        return True
    sealed = payload_converter.from_payload(failure.encoded_attributes)
    return not isinstance(sealed, dict) or "message" not in sealed or sealed.get(_TYPE) != kind


def _drop_too_large(details: Payloads) -> None:
    size = sum(len(payload.data) for payload in details.payloads)
    if size > MAX_PAYLOAD_BYTES:
        note = {"dropped_bytes": size, "limit_bytes": MAX_PAYLOAD_BYTES}
        del details.payloads[:]
        details.payloads.extend(_UNBOUNDED.to_payloads([note]))


def _too_large(size: int) -> Exception:
    message = (
        f"A value of {size:,} bytes is above the limit of {MAX_PAYLOAD_BYTES:,} bytes. "
        "Put it into the artifact store and pass the reference."
    )
    details = {"size_bytes": size, "limit_bytes": MAX_PAYLOAD_BYTES}
    error = OrchestratorError(ErrorCode.PAYLOAD_TOO_LARGE, message, error_class=ErrorClass.PERMANENT, details=details)
    return _where_it_is_used(error, details)


def _where_it_is_used(error: OrchestratorError, *details: object) -> Exception:
    """In a workflow or an activity this error fails it at once; another kind would be retried without end."""
    # The inputs of a workflow are converted in its sandbox before it runs.
    if workflow.unsafe.in_sandbox() or workflow.in_workflow() or activity.in_activity():
        return ApplicationError(error.message, *details, type=error.code.value, non_retryable=True)
    return error
