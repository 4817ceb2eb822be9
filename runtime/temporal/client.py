"""The way to a Temporal server: Temporal's own environment configuration, else the embedded server."""

from __future__ import annotations

import asyncio
import os
import re
import socket
from collections.abc import Sequence
from typing import TYPE_CHECKING

from contracts.errors import ErrorClass, ErrorCode, OrchestratorError
from runtime.keyring import KeyRing
from runtime.settings import Settings

if TYPE_CHECKING:
    from temporalio.client import Client, Interceptor, Plugin
    from temporalio.envconfig import ClientConnectConfig
    from temporalio.runtime import Runtime

CONNECT_TIMEOUT_S = 2.5
"""A person is told within five seconds; a command needs one or two of them to start."""


def connect_config(settings: Settings) -> ClientConnectConfig:
    """Address, namespace, TLS and API key as Temporal's users set them (TEMPORAL_ADDRESS and others).

    Without an address there, the embedded server's. Raises OrchestratorError SETTINGS_INVALID for a profile
    or file that cannot be used.
    """
    from temporalio.envconfig import ClientConfig

    try:
        config = ClientConfig.load_client_connect_config()
    except (RuntimeError, ValueError, OSError) as error:
        raise OrchestratorError(
            ErrorCode.SETTINGS_INVALID,
            f"Temporal's configuration cannot be used: {error}. Look at TEMPORAL_PROFILE and TEMPORAL_CONFIG_FILE.",
        ) from error
    config.setdefault("target_host", settings.temporal_address)
    config.setdefault("namespace", "default")
    return config


async def connect(
    settings: Settings,
    *,
    keyring: KeyRing,
    interceptors: Sequence[Interceptor] = (),
    plugins: Sequence[Plugin] = (),
    identity: str | None = None,
    runtime: Runtime | None = None,
) -> Client:
    """A client with our data converter, whose workers refuse too large payloads and messages without any as well.

    Raises OrchestratorError TEMPORAL_UNREACHABLE (transient) when there is no connection within `CONNECT_TIMEOUT_S`.
    """
    from temporalio.client import Client

    from runtime.observability import telemetry
    from runtime.temporal.authenticity import AuthenticityInterceptor
    from runtime.temporal.converter import build_data_converter
    from runtime.temporal.payload_limit import PayloadLimitInterceptor

    config = connect_config(settings)
    address = config["target_host"]
    attempt = Client.connect(
        **config,
        data_converter=build_data_converter(keyring),
        interceptors=[
            PayloadLimitInterceptor(),
            AuthenticityInterceptor(),
            *telemetry.client_interceptors(identity or "workers"),
            *interceptors,
        ],
        plugins=plugins,
        identity=identity or f"{os.getpid()}@{socket.gethostname()}",
        runtime=runtime,
    )
    try:
        async with asyncio.timeout(CONNECT_TIMEOUT_S):
            return await attempt
    except TimeoutError as error:
        raise _unreachable(address, f"no answer within {CONNECT_TIMEOUT_S:g} s") from error
    except (RuntimeError, OSError, ValueError) as error:
        raise _unreachable(address, _reason(error)) from error


def _reason(error: Exception) -> str:
    known = re.search(r"connection refused|certificate|dns|unauthenticated|permission denied", str(error), re.I)
    return known.group(0).lower() if known else "the connection failed"


def _unreachable(address: str, reason: str) -> OrchestratorError:
    return OrchestratorError(
        ErrorCode.TEMPORAL_UNREACHABLE,
        f"No Temporal server at {address} ({reason}). Start the platform with `orchestrator up`, "
        "or run `orchestrator doctor` to see what is missing.",
        error_class=ErrorClass.TRANSIENT,
        details={"address": address},
    )
