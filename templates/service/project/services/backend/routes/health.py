"""GET /health: what a supervisor and a load balancer ask."""

from fastapi import APIRouter, Request

router = APIRouter(tags=["service"])


@router.get("/health")
def health(request: Request) -> dict[str, str]:
    settings = request.app.state.settings
    return {"status": "ok", "service": settings.app_name, "release": settings.release_id}
