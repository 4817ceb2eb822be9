"""GET /admin/status: for the operator, with ADMIN_TOKEN as the bearer token."""

import hashlib
import hmac

from fastapi import APIRouter, HTTPException, Request, status

from services.backend import models
from services.backend.database import Connection

router = APIRouter(prefix="/admin", tags=["admin"])


@router.get("/status")
def admin_status(request: Request, connection: Connection) -> dict[str, object]:
    """Number of rows per table, and a fingerprint by which a changed SECRET_KEY is noticed."""
    settings = request.app.state.settings
    expected = f"Bearer {settings.admin_token}".encode()
    sent = request.headers.get("Authorization", "").encode()
    if not settings.admin_token or not hmac.compare_digest(sent, expected):
        raise HTTPException(status.HTTP_401_UNAUTHORIZED, "the admin token is needed")
    counts = {
        table.name: connection.execute(f'SELECT count(*) FROM "{table.name}"').fetchone()[0]
        for table in models.tables()
    }
    return {
        "rows": counts,
        "secret_key": hashlib.sha256(settings.secret_key.encode()).hexdigest()[:12],
    }
