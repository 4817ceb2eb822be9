"""The pages of one kind of thing: list, add, edit, delete."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from fastapi import APIRouter, Request, status
from fastapi.responses import HTMLResponse, RedirectResponse, Response
from fastapi.templating import Jinja2Templates
from sqlmodel import SQLModel

from services.backend import database
from services.backend.fields import Offset
from services.web import forms

PAGE_SIZE = 50
templates = Jinja2Templates(Path(__file__).parent / "templates")
templates.env.filters["shown"] = forms.shown


@dataclass(frozen=True)
class Resource:
    """`path` is the kind's path in the API too; `form` is the model of what a person fills in."""

    path: str
    kind: type[database.Row]
    form: type[SQLModel]

    @property
    def title(self) -> str:
        return self.path.replace("-", " ").replace("_", " ").capitalize()

    @property
    def fields(self) -> list[forms.Field]:
        return forms.fields_of(self.form)

    @property
    def address(self) -> str:
        return f"/pages/{self.path}"

    def router(self) -> APIRouter:
        router = APIRouter(prefix=self.address)
        router.add_api_route("", self.list_page, response_class=HTMLResponse)
        router.add_api_route("", self.add, methods=["POST"])
        router.add_api_route("/{row_id}", self.edit_page, response_class=HTMLResponse)
        router.add_api_route("/{row_id}", self.save, methods=["POST"])
        router.add_api_route("/{row_id}/delete", self.delete, methods=["POST"])
        return router

    def list_page(
        self, request: Request, session: database.Session, offset: Offset = 0
    ) -> Response:
        return self._list(request, session, {}, {}, offset)

    def add(self, request: Request, session: database.Session, sent: forms.Sent) -> Response:
        values, wrong = forms.checked(self.form, sent)
        if values is None:
            return self._list(request, session, sent, wrong)
        database.insert(session, self.kind, values)
        return self._back()

    def edit_page(self, request: Request, session: database.Session, row_id: int) -> Response:
        row = database.find(session, self.kind, row_id)
        return self._edit(request, row_id, row.model_dump(), {})

    def save(
        self, request: Request, session: database.Session, row_id: int, sent: forms.Sent
    ) -> Response:
        database.find(session, self.kind, row_id)
        values, wrong = forms.checked(self.form, sent)
        if values is None:
            return self._edit(request, row_id, sent, wrong)
        database.change(session, self.kind, row_id, values.model_dump())
        return self._back()

    def delete(self, session: database.Session, row_id: int) -> Response:
        database.delete(session, self.kind, row_id)
        return self._back()

    def _list(
        self,
        request: Request,
        session: database.Session,
        values: dict[str, str],
        wrong: dict[str, str],
        offset: int = 0,
    ) -> Response:
        # One more than fits tells whether there is a next page.
        rows = database.page(session, self.kind, PAGE_SIZE + 1, offset)
        earlier = max(0, offset - PAGE_SIZE) if offset else None
        later = offset + PAGE_SIZE if len(rows) > PAGE_SIZE else None
        found = {"rows": rows[:PAGE_SIZE], "earlier": earlier, "later": later}
        return self._page(request, "list.html", {**found, "values": values, "wrong": wrong})

    def _edit(
        self, request: Request, row_id: int, values: Mapping[str, object], wrong: dict[str, str]
    ) -> Response:
        found = {"row_id": row_id, "values": values, "wrong": wrong}
        return self._page(request, "edit.html", found)

    def _page(self, request: Request, name: str, found: dict[str, object]) -> Response:
        code = status.HTTP_422_UNPROCESSABLE_CONTENT if found["wrong"] else status.HTTP_200_OK
        return templates.TemplateResponse(
            request, name, {**found, "resource": self}, status_code=code
        )

    def _back(self) -> Response:
        return RedirectResponse(self.address, status.HTTP_303_SEE_OTHER)
