"""What one API process holds while it runs. The application's lifespan makes it; nothing is made at import."""

from dataclasses import dataclass

from sqlalchemy.ext.asyncio import AsyncEngine

from api.auth import ServiceKeys
from api.database import Sessions
from api.gateway import GatewayLink
from api.git.backend import GitBackend
from api.metrics.registry import ApiMetrics
from api.queues.watch import QueueWatch
from api.tasks.event_hub import EventHub
from api.vault import Vault
from api.web_ui.parts import WebUi
from runtime.artifacts import DirectoryArtifactStore
from runtime.settings import Settings


@dataclass(frozen=True)
class Platform:
    """Routes ask for single fields, by the dependencies that are made with `api.dependencies.part`."""

    settings: Settings
    engine: AsyncEngine
    sessions: Sessions
    gateway: GatewayLink
    queues: QueueWatch
    metrics: ApiMetrics
    hub: EventHub
    vault: Vault
    artifacts: DirectoryArtifactStore
    service_keys: ServiceKeys
    git: GitBackend
    web_ui: WebUi
