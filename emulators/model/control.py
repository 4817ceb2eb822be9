"""What tests set and read: scenarios, requests, the bill. No provider has anything like it."""

from aiohttp import web
from pydantic import ValidationError

from emulators.model.model import Model
from emulators.model.steps import Scenario


def add_routes(app: web.Application, model: Model) -> None:
    control = _Control(model)
    app.router.add_get("/control/health", control.health)
    app.router.add_post("/control/scenarios", control.set_scenario)
    app.router.add_delete("/control/scenarios", control.clear)
    app.router.add_get("/control/requests", control.requests)
    app.router.add_get("/control/billed", control.billed)
    app.router.add_post("/control/reset", control.reset)


class _Control:
    def __init__(self, model: Model) -> None:
        self._model = model

    async def health(self, _request: web.Request) -> web.Response:
        return web.json_response({"emulator": True, "requests": self._model.records.seen})

    async def set_scenario(self, request: web.Request) -> web.Response:
        """A scenario for requests that fit. With a name and no `match`: `[model:scenario NAME]` refers to it."""
        try:
            scenario = Scenario.model_validate_json(await request.text())
        except ValidationError as error:
            raise web.HTTPUnprocessableEntity(text=str(error)) from None
        if scenario.name and not scenario.match:
            self._model.named[scenario.name] = scenario
        else:
            self._model.scenarios.append(scenario)
        return web.json_response({"scenarios": len(self._model.scenarios), "named": sorted(self._model.named)})

    async def clear(self, _request: web.Request) -> web.Response:
        self._model.scenarios.clear()
        return web.json_response({"scenarios": 0})

    async def requests(self, request: web.Request) -> web.Response:
        """The newest requests, oldest first. `after`: only those with a higher number; `bodies=0`: without bodies."""
        after, bodies = int(request.query.get("after", "0")), request.query.get("bodies", "1") == "1"
        found = [record.document() for record in self._model.records.requests if record.number > after]
        hidden = () if bodies else ("body", "headers")
        rows = [{name: value for name, value in row.items() if name not in hidden} for row in found]
        return web.json_response({"seen": self._model.records.seen, "requests": rows})

    async def billed(self, _request: web.Request) -> web.Response:
        return web.json_response(self._model.records.billed())

    async def reset(self, _request: web.Request) -> web.Response:
        self._model.reset()
        return web.json_response({"reset": True})
