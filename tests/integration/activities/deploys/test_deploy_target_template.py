"""A project of the bundled template with all modules, deployed as it is."""

import shutil
from pathlib import Path

import httpx
import pytest

from contracts.steps import ServicePort
from tests.support.ports import any_free
from tests.support.services.generated_project import generate
from tests.support.services.sample_service import Recorder, SampleProject

VALUES = {
    "ADMIN_TOKEN": "generated-token-of-the-admin",
    "TELEGRAM_BOT_TOKEN": "123456:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
}


@pytest.mark.deep
async def test_all_modules_of_the_template_are_deployed_and_probed(tmp_path: Path) -> None:
    generated = generate(tmp_path / "generated", ["backend", "tg_bot", "web"])
    contract = generated / "env.contract.yaml"
    contract.write_text(contract.read_text().replace("https://api.telegram.org", "http://127.0.0.1:9"))
    project = SampleProject(tmp_path / "home", any_free())
    project.home.mkdir()
    commit = project.commit_tree(generated)
    request = await project.request(commit, timeout_s=300)
    ports = [ServicePort(service="backend", port=project.port), ServicePort(service="tg_bot", port=any_free())]
    request = request.model_copy(update={"allocation": request.allocation.model_copy(update={"ports": ports})})
    outcome = await project.target.release(request, project.environment(request, VALUES), Recorder().follow)
    try:
        assert outcome.ok, outcome.error
        probe = await project.target.probe(project.probe_request(request))
        assert probe.ok, probe.error
        assert probe.url == project.url, "the address of a project is its backend's"
        assert len(project.service_runs()) == 2
        await assert_the_routes_work(project)
        await project.supervisor.stop(next(name for name in project.service_runs() if "tg_bot" in name))
        dead_bot = await project.target.probe(project.probe_request(request))
        assert not dead_bot.ok
        assert "tg_bot" in str(dead_bot.error)
    finally:
        await project.stop_everything()
        shutil.rmtree(project.home / "caches", ignore_errors=True)
    assert project.processes() == []


async def assert_the_routes_work(project: SampleProject) -> None:
    token = {"Authorization": f"Bearer {VALUES['ADMIN_TOKEN']}"}
    async with httpx.AsyncClient(base_url=project.url, trust_env=False) as client:
        assert (await client.get("/admin/status", headers=token)).status_code == 200
        assert (await client.get("/docs")).status_code == 200
        assert "<main>" in (await client.get("/")).text
    assert list(project.place.data.glob("*.sqlite3")), "data is in the directory that survives releases"
