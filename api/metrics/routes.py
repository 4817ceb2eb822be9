"""Prometheus metrics, for whoever runs the platform."""

from fastapi import APIRouter
from fastapi.responses import Response
from prometheus_client import CONTENT_TYPE_LATEST

from api.auth import Admin
from api.database import Session
from api.metrics.queries import count_work
from api.metrics.registry import MetricsDep

router = APIRouter(tags=["platform"])


@router.get("/metrics", include_in_schema=False)
async def show_metrics(_caller: Admin, metrics: MetricsDep, session: Session) -> Response:
    """The metrics of this process; scrape it with an administrator's key (`authorization: credentials_file`)."""
    return Response(metrics.text(await count_work(session)), media_type=CONTENT_TYPE_LATEST)
