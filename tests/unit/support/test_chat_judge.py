"""The judge of the chat's fault run must be able to fail: every kind of loss, doubling and straying is planted."""

from typing import Any

import pytest

from emulators.telegram.chats import Account, Chat, Message
from emulators.telegram.telegram import Telegram
from tests.soak.chat import COURSES, Conversation, Plan, judge, secret_of
from tests.support.people.chat import ChatUser

DONE = "✅ Ready: list-birds\nMake a list of birds: title, author\n\nhttp://127.0.0.1:18000"
COMPLETED = {"state": "completed"}


class Scene:
    """Two chats; Ann has made the wish about birds."""

    def __init__(self, course: str = "sentence") -> None:
        self.telegram = Telegram()
        for user in (11, 12):
            self.telegram.account(user)
        self.conversation = Conversation(ChatUser(11, self.telegram), "birds", course)

    def shows(self, *texts: str, chat: int = 11) -> "Scene":
        for text in texts:
            self.telegram.send(chat, text, [], (), None)
        return self

    def problems(self, *tasks: dict[str, Any]) -> list[str]:
        return judge(self.conversation, tasks, list(self.telegram.chats.values()))


def test_one_task_and_one_final_screen_are_right() -> None:
    assert Scene().shows("Accepted: Make a list of birds: title", DONE).problems(COMPLETED) == []


@pytest.mark.parametrize(
    ("scene", "tasks", "problem"),
    [
        (Scene().shows(DONE), [], "lost: 0 tasks"),
        (Scene().shows(DONE), [COMPLETED, COMPLETED], "doubled: 2 tasks"),
        (Scene().shows(DONE), [{"state": "running"}], "differs: the task is running"),
        (Scene().shows("Accepted: Make a list of birds: title"), [COMPLETED], "lost: 0 final screens"),
        (Scene().shows(DONE, DONE), [COMPLETED], "doubled: 2 final screens"),
        (Scene("stop").shows(DONE), [{"state": "cancelled"}], "differs: the screen says completed"),
        (Scene().shows(DONE).shows(DONE, chat=12), [COMPLETED], "astray: chat 12"),
        (Scene().shows(DONE).shows("list-birds\n✅ Scaffold", chat=12), [COMPLETED], "astray: chat 12"),
    ],
)
def test_what_is_wrong_is_found(scene: Scene, tasks: list[dict[str, Any]], problem: str) -> None:
    assert any(found.startswith(problem) for found in scene.problems(*tasks))


def test_a_final_screen_that_was_taken_back_counts() -> None:
    scene = Scene().shows(DONE, DONE)
    scene.telegram.remove_by_person(11, scene.telegram.chats[11].screen[0].id)
    assert scene.problems(COMPLETED) == ["doubled: 2 final screens for one task"]


def test_a_secret_that_was_not_deleted_is_found() -> None:
    scene = Scene("secret").shows(DONE)
    scene.telegram.say(11, secret_of("birds"))
    assert scene.problems(COMPLETED) == ["differs: the chat shows the secret"]


def test_what_a_person_says_is_no_screen() -> None:
    chat = Chat(11, members={11: Account(11)})
    chat.add(Message(1, DONE, Account(11), 0))
    scene = Scene().shows(DONE)
    assert judge(scene.conversation, [COMPLETED], [scene.telegram.chats[11], chat]) == []


def test_a_plan_has_every_course_and_is_the_same_for_a_seed() -> None:
    assert Plan(7).courses() == Plan(7).courses() != Plan(8).courses()
    assert set(Plan(7).courses()) == set(COURSES)
