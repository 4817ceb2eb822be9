"""What one API process holds while it runs. The application's lifespan makes it; nothing is made at import."""

from dataclasses import dataclass

from sqlalchemy.ext.asyncio import AsyncEngine

from api.auth import ServiceKeys
from api.database import Sessions
from api.gateway import GatewayLink
from api.git.backend import GitBackend
from api.metrics.registry import ApiMetrics
from api.middleware.admission import Admission
from api.queues.disks import DiskWatch
from api.queues.watch import QueueWatch
from api.tasks.event_hub import EventHub
from api.users.quotas import Quotas
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
    disks: DiskWatch
    metrics: ApiMetrics
    hub: EventHub
    vault: Vault
    artifacts: DirectoryArtifactStore
    service_keys: ServiceKeys
    git: GitBackend
    web_ui: WebUi
    admission: Admission
    quotas: Quotas
