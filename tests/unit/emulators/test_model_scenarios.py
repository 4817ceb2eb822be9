"""The step of a request is found in its conversation alone: who asks again gets the same."""

import pytest
from pydantic import ValidationError

from emulators.model import directives, scenarios
from emulators.model.directives import UnknownDirective
from emulators.model.model import Model, answer
from emulators.model.steps import Do, Scenario, Step, primitive
from tests.unit.emulators.model_requests import CALLED, RESULT, SAID, Kind, asked

TWO = "Please [model:write a.txt A] and then [model:run ls [a-z]*]"


def step(model: Model, *entries: tuple[Kind, str] | str, key: str = "k", **more: object) -> Step:
    return model.turn(key, asked(*entries, **more)).step


def test_steps_come_one_after_the_other_and_end() -> None:
    model = Model()
    assert step(model, TWO) == step(model, TWO) == Step(do=Do.WRITE, path="a.txt", text="A")
    assert step(model, TWO, CALLED, RESULT) == Step(do=Do.RUN, text="ls [a-z]*")
    assert step(model, TWO, CALLED, RESULT, CALLED, RESULT).do is Do.SAY


def test_the_newest_text_with_a_directive_counts() -> None:
    model = Model()
    assert step(model, TWO, CALLED, RESULT, "[model:say Steered]").text == "Steered"
    assert step(model, TWO, CALLED, RESULT, "<system-reminder>[model:fail]</system-reminder>").do is Do.RUN


def test_a_question_goes_on_after_its_answer() -> None:
    model, text = Model(), "[model:ask Which colour? | red | dark blue][model:say Thanks]"
    first = step(model, text)
    assert first.text == "orchestrator ask 'Which colour?' --choice red --choice 'dark blue'"
    assert "wait for the answer" in step(model, text, CALLED, RESULT).text
    assert step(model, text, CALLED, RESULT, SAID, "red").text == "Thanks"


def test_a_loop_never_ends() -> None:
    model = Model()
    assert all(step(model, "[model:loop]", *([CALLED, RESULT] * count)).do is Do.LOOP for count in (0, 1, 50))


def test_a_fault_strikes_as_often_as_it_says_and_then_the_scenario_goes_on() -> None:
    model, text = Model(), "[model:529 times=2][model:say Back]"
    assert [step(model, text).do for _ in range(3)] == [Do.STATUS, Do.STATUS, Do.SAY]
    assert step(model, text, key="another").status == 529


def test_a_usage_window_opens_again() -> None:
    now = [100.0]
    model, text = Model(clock=lambda: now[0]), "[model:429 for=20]"
    assert model.turn("k", asked(text)).left_s == 20
    now[0] += 15
    assert model.turn("k", asked(text)).left_s == 5
    now[0] += 5
    assert step(model, text).do is Do.SAY


def test_a_request_without_tools_is_aside_and_gets_no_step() -> None:
    turn = Model().turn("k", asked(TWO, tools=()))
    assert turn.side
    assert turn.step.do is Do.SAY


@pytest.mark.parametrize(("directive", "refused"), [
    ("[model:402]", True), ("[model:401]", True), ("[model:402 times=1]", False), ("[model:429]", False),
    ("[model:529]", False), ("[model:say Hi] [model:402]", False),
])  # fmt: skip
def test_an_account_that_is_refused_is_refused_a_title_too(directive: str, *, refused: bool) -> None:
    turn = Model().turn("k", asked(directive, tools=()))
    assert (turn.side, turn.step.do is Do.STATUS) == (True, refused)


def test_a_task_in_a_file_is_read_and_played() -> None:
    model, prompt, task = Model(), "Read TASK.md, then complete the task.", (Kind.RESULT, f"# Task\n{TWO}")
    assert step(model, prompt).text == "cat TASK.md"
    assert step(model, prompt, CALLED, task).do is Do.WRITE
    after = (prompt, CALLED, task, CALLED, RESULT)
    assert step(model, *after).do is Do.RUN
    assert step(model, *after, SAID, prompt).text == "cat TASK.md"


def test_a_task_that_is_read_again_goes_on_and_another_begins() -> None:
    model, prompt = Model(), "Read TASK.md"
    same, other = (Kind.RESULT, "[model:ask Which?][model:say Same]"), (Kind.RESULT, "[model:say Other]")
    before = (prompt, CALLED, same, CALLED, RESULT, SAID, prompt, CALLED)
    assert step(model, *before, same).text == "Same"
    assert step(model, *before, other).text == "Other"


def test_a_scenario_that_was_set_comes_before_what_the_text_says() -> None:
    model = Model(scenarios=[Scenario(match="review", steps=(Step(do=Do.SAY, text="Fine"),))])
    assert step(model, f"Please review: {TWO}").text == "Fine"
    assert step(model, TWO).do is Do.WRITE
    assert step(model, "review", tools=()).text != "Fine"


def test_a_named_scenario_is_referred_to() -> None:
    model = Model(named=scenarios.load())
    assert step(model, "[model:scenario notes]").path == "services/backend/models/note.py"
    with pytest.raises(UnknownDirective, match="known: notes"):
        step(model, "[model:scenario poems]")


@pytest.mark.parametrize("text", ["[model:dance]", "[model:429 often]", "[model:status 20]", "[model:huge many]"])
def test_what_cannot_be_read_is_said(text: str) -> None:
    with pytest.raises(UnknownDirective, match="model:"):
        directives.steps(text, {})


def test_an_unfinished_directive_is_none() -> None:
    assert directives.find("[model:write [a b") == []


def test_a_scenario_has_steps() -> None:
    with pytest.raises(ValidationError, match="at least one step"):
        Scenario(steps=())


def test_reports_are_commands_of_the_platform() -> None:
    ran, said = primitive((Step(do=Do.FAIL, text="No way"),))
    assert (ran.text, said.text) == ("orchestrator report --failed 'No way'", "No way")


def test_a_huge_answer_has_its_size_and_does_not_repeat_itself() -> None:
    text = answer(asked("go"), Step(do=Do.HUGE, size=100_000)).text
    assert len(text) == 100_000
    assert len(set(text.splitlines())) == len(text.splitlines())


def test_a_loop_calls_something_new_each_time() -> None:
    step = Step(do=Do.LOOP, text="ls")
    calls = [answer(asked("go", *([CALLED, RESULT] * count)), step).call for count in range(3)]
    assert [call.arguments["command"] for call in calls if call] == ["ls # 0", "ls # 1", "ls # 2"]
