"""Criteria, evidence and fingerprint from what a run has left, however strange that is."""

from typing import Any

from activities.adapters.acceptance.judging import Seen, judged, never_started
from contracts.acceptance import AcceptanceRequest, AcceptanceResult
from contracts.artifacts import ArtifactRef
from contracts.criteria import Criterion
from contracts.states import CriterionState

STEP = {"kind": "http", "path": "/", "expect": {"status": 200}}


class Store:
    """Keeps what it is given."""

    def __init__(self) -> None:
        self.kept: dict[str, bytes] = {}

    async def put(self, name: str, content: bytes, media_type: str = "text/plain") -> ArtifactRef:
        self.kept[name] = content
        digest = "0" * 64
        return ArtifactRef(uri=f"artifact://{digest}/{name}", sha256=digest, size_bytes=0, media_type=media_type)


def request(*criteria: str) -> AcceptanceRequest:
    checks = [
        {"id": f"{name}-{number}", "criterion_id": name, "title": f"Shows {name}", "steps": [STEP]}
        for name in criteria
        for number in (1, 2)
    ]
    return AcceptanceRequest.model_validate(
        {
            "task_id": "t",
            "project_id": "p",
            "repository": "u1/books",
            "commit": "a" * 40,
            "criteria": [Criterion(id=name, sentence=f"The wish says {name}", words=name) for name in criteria],
            "checks": checks,
        }
    )


def shown(name: str, state: str, **more: Any) -> dict[str, Any]:
    return {"id": name, "criterion_id": name[:1], "state": state, "detail": "", "step": None, "steps": []} | more


async def result(seen: Seen, *criteria: str) -> AcceptanceResult:
    return await judged(request(*criteria), seen, Store())


async def test_one_check_that_misses_is_enough_and_one_that_cannot_run_leaves_it_open() -> None:
    checks = [shown("a-1", "met"), shown("a-2", "not_met"), shown("b-1", "met"), shown("b-2", "not_checkable")]
    checks += [shown("c-1", "met"), shown("c-2", "met")]
    found = await result(Seen(checks), "a", "b", "c")
    assert [one.state.value for one in found.criteria] == ["not_met", "not_checkable", "met"]
    assert all(one.proof is not None for one in found.criteria)
    assert "The wish says a" in found.evidence
    assert not found.passed


async def test_a_check_that_left_nothing_is_not_met_by_silence() -> None:
    found = await result(Seen([shown("a-1", "met")]), "a")
    assert [one.state for one in found.criteria] == [CriterionState.NOT_CHECKABLE]
    assert found.passed
    assert found.evidence == ""


async def test_services_that_do_not_run_miss_everything() -> None:
    found = await result(never_started("ended:backend", "service backend has ended", "no such table"), "a", "b")
    assert {one.state for one in found.criteria} == {CriterionState.NOT_MET}
    assert "service backend has ended" in found.evidence
    assert "no such table" in found.evidence


async def test_evidence_of_hostile_answers_is_bounded_clean_and_without_secrets() -> None:
    secret = "s3cret-of-the-run-42"
    steps = [{"request": "GET /", "status": 200, "answer": f"\x00\x1b[31m{secret}" + "x" * 100_000}]
    checks = [
        shown(f"a-{one}", "not_met", detail=f"saw {secret} " + "y" * 5_000, steps=steps, step=1) for one in (1, 2)
    ]
    store = Store()
    found = await judged(request("a"), Seen(checks, log=f"{secret}\n" * 5_000, secrets=(secret,)), store)
    everything = found.model_dump_json() + store.kept["acceptance-aaaaaaaaaaaa.json"].decode()
    assert secret not in everything
    assert "\x1b" not in found.evidence
    assert "\x00" not in found.evidence
    assert len(found.evidence) <= 8_000


async def test_the_fingerprint_names_the_miss_and_not_the_run() -> None:
    def missed(key: str, detail: str) -> Seen:
        return Seen([shown("a-1", "not_met", keys=[key], detail=detail, step=1), shown("a-2", "met")])

    first = await result(missed("status:201", "the status is 200 of 1f"), "a")
    assert first.fingerprint == (await result(missed("status:201", "of 2e"), "a")).fingerprint
    assert first.fingerprint != (await result(missed("json:id:missing", ""), "a")).fingerprint


async def test_only_a_picture_becomes_a_screenshot() -> None:
    checks = [shown("a-1", "met", screenshots=["01-list.png", "02-fake.png"]), shown("a-2", "met")]
    pictures = {"01-list.png": b"\x89PNG\r\n\x1a\n...", "02-fake.png": b"<script>"}
    found = await result(Seen(checks, pictures=pictures), "a")
    assert [one.name for one in found.screenshots] == ["01-list.png"]
    [criterion] = found.criteria
    assert criterion.proof is not None
    assert criterion.proof.reference.endswith("01-list.png")
