"""An OpenTelemetry collector, as far as an exporter can tell: it keeps what it is sent."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span


class Collector:
    """What has arrived since the start: the bodies as they were, and the spans in them."""

    def __init__(self) -> None:
        self.bodies: list[bytes] = []
        self._open: set[asyncio.StreamWriter] = set()

    @property
    def spans_of(self) -> list[tuple[str, Span]]:
        """Every span with the service that sent it."""
        found = []
        for body in self.bodies:
            for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
                names = [one.value.string_value for one in resource.resource.attributes if one.key == "service.name"]
                found += [(names[0], span) for scope in resource.scope_spans for span in scope.spans]
        return found

    @property
    def spans(self) -> list[Span]:
        return [span for _, span in self.spans_of]

    @property
    def services(self) -> set[str]:
        return {service for service, _ in self.spans_of}

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._open.add(writer)
        while head := await _head(reader):
            length = next(int(line.split(b":")[1]) for line in head if line.lower().startswith(b"content-length"))
            self.bodies.append(await reader.readexactly(length))
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/x-protobuf\r\nContent-Length: 0\r\n\r\n")
            await writer.drain()
        writer.close()
        self._open.discard(writer)

    def hang_up(self) -> None:
        """End the connections that exporters keep open."""
        for writer in self._open:
            writer.close()


async def _head(reader: asyncio.StreamReader) -> list[bytes]:
    try:
        return (await reader.readuntil(b"\r\n\r\n")).splitlines()
    except asyncio.IncompleteReadError:
        return []


@asynccontextmanager
async def collecting(environment: pytest.MonkeyPatch) -> AsyncIterator[Collector]:
    """A collector that this process, and every one that it starts, sends to."""
    collector = Collector()
    server = await asyncio.start_server(collector.serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    environment.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", f"http://127.0.0.1:{port}")
    environment.setenv("OTEL_EXPORTER_OTLP_COMPRESSION", "none")
    try:
        yield collector
    finally:
        server.close()
        collector.hang_up()
