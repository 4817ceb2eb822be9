"""GET /admin/status: for the operator, with ADMIN_TOKEN as the bearer token."""

import hmac

from fastapi import APIRouter, HTTPException, Request, status
from sqlmodel import SQLModel, func, select

from services.backend.database import Session

router = APIRouter(prefix="/admin", tags=["admin"])


@router.get("/status")
def admin_status(request: Request, session: Session) -> dict[str, dict[str, int]]:
    """Number of rows per table."""
    settings = request.app.state.settings
    expected = f"Bearer {settings.admin_token}".encode()
    sent = request.headers.get("Authorization", "").encode()
    if not settings.admin_token or not hmac.compare_digest(sent, expected):
        raise HTTPException(status.HTTP_401_UNAUTHORIZED, "the admin token is needed")
    tables = SQLModel.metadata.sorted_tables
    counted = {
        table.name: session.exec(select(func.count()).select_from(table)).one() for table in tables
    }
    return {"rows": counted}
