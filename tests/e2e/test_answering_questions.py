"""Questions, judged by their answers: who may, what counts, and only once."""

import pytest

from tests.support.outside import agent_starts
from tests.support.people.story import Story

pytestmark = pytest.mark.timeout(900)


@pytest.mark.story("question")
async def test_a_task_that_waits_says_for_whom(story: Story) -> None:
    assert story.seen["waiting"]["state"] == "waiting"
    assert story.seen["question"]["id"] in story.seen["waiting"]["waiting_for"]


@pytest.mark.story("question")
@pytest.mark.parametrize(
    ("case", "exit_code", "code"),
    [
        ("of a stranger", 3, "NOT_FOUND"),
        ("without words", 2, "INVALID_INPUT"),
        ("of an unknown question", 3, "NOT_FOUND"),
        ("too late", 5, "QUESTION_CLOSED"),
    ],
)
async def test_an_answer_is_refused_with_a_reason(story: Story, case: str, exit_code: int, code: str) -> None:
    refused = story.seen["refused"][case]
    assert (refused.code, refused.json["error"]["code"]) == (exit_code, code)
    assert refused.json["error"]["message"]
    assert refused.err == ""


@pytest.mark.story("question")
async def test_the_same_answer_twice_is_one_answer(story: Story) -> None:
    assert story.seen["answered"].code == story.seen["answered again"].code == 0
    question = await story.stack.get(f"/questions/{story.seen['question']['id']}")
    assert (question["state"], question["answer"]) == ("answered", "Books with a title, please")
    assert agent_starts(story.stack, story.seen["task"]["id"]) == {"1": 1, "2": 1}


@pytest.mark.story("question")
async def test_a_run_continues_after_its_payload_key_was_replaced(story: Story) -> None:
    assert story.seen["task"]["state"] == "completed"
    active = story.stack.settings.codec_key_file.read_text()
    assert f'"active": "{story.seen["rotated to"]}"' in active


@pytest.mark.story("unclear")
async def test_an_unclear_sentence_ends_in_an_honest_question(story: Story) -> None:
    question = story.seen["question"]
    assert "a script, not a model" in question["text"]
    assert question["choices"], "it offers what it can do"


@pytest.mark.story("unclear")
async def test_a_cancelled_question_cannot_be_answered(story: Story) -> None:
    late = story.seen["late answer"]
    assert late.code == 5
    assert late.json["error"]["code"] in {"QUESTION_CLOSED", "WORKFLOW_NOT_RUNNING"}


@pytest.mark.story("approval")
async def test_nothing_is_deployed_before_the_approval(story: Story) -> None:
    assert story.seen["question"]["plan_hash"] == story.seen["commit"]
    assert story.seen["wrong"].code == 2
    assert story.seen["wrong"].json["error"]["code"] == "QUESTION_WRONG_CHOICE"
    assert story.seen["not yet live"] == []
    assert story.seen["approved"]["result"]["commit_sha"] == story.seen["commit"]


@pytest.mark.story("approval")
async def test_a_delivery_waits_for_the_deploy_that_is_running(story: Story) -> None:
    assert "A deploy of this project is running; waiting for its turn." in story.seen["told"]
    assert story.seen["delivered"]["result"]["commit_sha"] != story.seen["commit"]
    before, after = story.seen["current before and after"]
    assert before["commit"] == story.seen["delivered"]["result"]["commit_sha"]
    assert story.seen["declined"]["error_code"] == "STOPPED_BY_PERSON"
    assert after == before, "a declined plan changes nothing"
