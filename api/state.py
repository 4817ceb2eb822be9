"""What one API process holds while it runs; made by the application's lifespan, never at import."""

from dataclasses import dataclass
from typing import Annotated

import httpx
from fastapi import Depends, Request
from sqlalchemy.ext.asyncio import AsyncEngine

from api.database import Sessions
from api.event_hub import EventHub
from api.gateway_link import GatewayLink
from api.metrics import ApiMetrics
from api.queue_watch import QueueWatch
from api.vault import Vault
from api.web_rights import WebRights
from api.web_sessions import WebSessions
from runtime.artifacts import DirectoryArtifactStore
from runtime.settings import Settings


@dataclass(frozen=True)
class Platform:
    """A key's hash is None when there is no key file: then nobody is the platform, or the bot."""

    settings: Settings
    engine: AsyncEngine
    sessions: Sessions
    gateway: GatewayLink
    queues: QueueWatch
    metrics: ApiMetrics
    hub: EventHub
    vault: Vault
    artifacts: DirectoryArtifactStore
    platform_key_hash: str | None
    bot_key_hash: str | None
    web_sessions: WebSessions
    web_rights: WebRights
    web_ui: httpx.AsyncClient


# Not a plain function: FastAPI would call that in a thread.
async def _platform(request: Request) -> Platform:
    platform: Platform = request.app.state.platform
    return platform


ThePlatform = Annotated[Platform, Depends(_platform)]
