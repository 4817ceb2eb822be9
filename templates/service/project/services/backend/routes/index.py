"""GET /: what this is and where to go on."""

from fastapi import APIRouter, Request

router = APIRouter(tags=["service"])


@router.get("/")
def index(request: Request) -> dict[str, str]:
    settings = request.app.state.settings
    return {
        "service": settings.app_name,
        "release": settings.release_id,
        "docs": "/docs",
        "openapi": "/openapi.json",
        "health": "/health",
    }
