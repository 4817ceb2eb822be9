"""How values become payloads: pydantic JSON, a size limit, encryption; failures are encrypted as well."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from temporalio import activity, workflow
from temporalio.api.common.v1 import Payload, Payloads
from temporalio.api.failure.v1 import Failure
from temporalio.contrib.pydantic import PydanticPayloadConverter
from temporalio.converter import DataConverter, DefaultFailureConverterWithEncodedAttributes, PayloadConverter
from temporalio.exceptions import ApplicationError

from contracts.errors import ErrorClass, ErrorCode, OrchestratorError, bounded
from runtime.keyring import KeyRing
from runtime.temporal.codec import EncryptionCodec

MAX_PAYLOAD_BYTES = 256 * 1024
MAX_FAILURE_TEXT = 16_000


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


class BoundedFailureConverter(DefaultFailureConverterWithEncodedAttributes):
    """Messages, stack traces and details of failures go through the codec, and are cut to the size limit.

    A failure that is too large to be reported would otherwise be reported again and again.
    """

    def to_failure(self, exception: BaseException, payload_converter: PayloadConverter, failure: Failure) -> None:
        """Fill in `failure`; details above the limit are replaced by their size."""
        super().to_failure(exception, _UNBOUNDED, failure)
        (common,) = payload_converter.from_payloads([failure.encoded_attributes])
        cut = {name: bounded(str(text), MAX_FAILURE_TEXT) for name, text in common.items()}
        failure.encoded_attributes.CopyFrom(_UNBOUNDED.to_payloads([cut])[0])
        for details in (failure.application_failure_info.details, failure.canceled_failure_info.details):
            _drop_too_large(details)


def build_data_converter(keyring: KeyRing) -> DataConverter:
    """The one data converter of clients, workers and replayers."""
    return DataConverter(
        payload_converter_class=BoundedPayloadConverter,
        payload_codec=EncryptionCodec(keyring),
        failure_converter_class=BoundedFailureConverter,
    )


_UNBOUNDED = PydanticPayloadConverter()


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
    if workflow.in_workflow() or activity.in_activity():
        return ApplicationError(message, details, type=ErrorCode.PAYLOAD_TOO_LARGE.value, non_retryable=True)
    return OrchestratorError(ErrorCode.PAYLOAD_TOO_LARGE, message, error_class=ErrorClass.PERMANENT, details=details)
