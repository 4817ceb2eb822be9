"""Twenty people talk to the bot while parts are killed and messages go astray: what came of each wish.

The seed decides wishes, courses, faults and pauses; what the machine makes of it differs from run to run.
"""

import asyncio
import random
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import httpx

from emulators.telegram.chats import Chat, Message
from emulators.telegram.faults import Fault, Kind
from tests.support.kills.killing import kill
from tests.support.patience import patience, promised
from tests.support.people.chat import ChatSystem, ChatUser, link
from tests.support.stack import FINAL

Say = Callable[[str], None]

NOUNS = (
    "birds", "boats", "bridges", "candles", "castles", "chairs", "clocks", "clouds", "drums", "engines",
    "farms", "forks", "gates", "hats", "islands", "jackets", "kites", "lamps", "maps", "nests",
    "oranges", "paints", "queens", "rivers", "stones", "tables", "violins", "wagons", "yards", "zebras",
)  # fmt: skip
COURSES = ("sentence", "command", "answer in words", "answer by button", "secret", "stop")
"""How a conversation continues after its wish."""

_ENDS = {"✅": "completed", "❌": "failed", "⏹": "cancelled"}
_EXPECTED = {"answer by button": "failed", "stop": "cancelled"}
_PATIENCE_S = 25.0
"""A person who sees nothing change does the same thing again."""
_LONGEST_S = 300.0
_PAUSE_S = (0.1, 1.2)
_REPEATABLE = 40


@dataclass(frozen=True)
class Plan:
    seed: int
    conversations: int = 20
    faults: int = 100
    at_once: int = 4

    def courses(self) -> list[str]:
        """One for each conversation: every course equally often, in a shuffled order."""
        chance = random.Random(f"{self.seed} courses")
        found = [COURSES[number % len(COURSES)] for number in range(self.conversations)]
        chance.shuffle(found)
        return found


@dataclass
class Conversation:
    """One wish of one person, and what was found in the end."""

    user: ChatUser
    noun: str
    course: str
    started: float = 0.0
    took_s: float = 0.0
    problems: list[str] = field(default_factory=list)

    @property
    def expected(self) -> str:
        return _EXPECTED.get(self.course, "completed")

    @property
    def wish(self) -> str:
        directive = {
            "answer in words": " [agent:ask]",
            "answer by button": " [agent:fail]",
            "secret": " [agent:needs-secret=PAYMENT_KEY]",
            "stop": " [agent:hang]",
        }.get(self.course, " [agent:slow=2]")
        return f"Make a list of {self.noun}: title, author{directive}"


def finals(chat: Chat, noun: str) -> dict[int, str]:
    """Ids of the messages that ever said how this wish ended, with what they said last."""
    found: dict[int, str] = {}
    for frame in chat.frames:
        for message in frame.screen:
            if (end := end_of(message, noun)) is not None:
                found[message.id] = end
    return found


def end_of(message: Message, noun: str) -> str | None:
    """The state that a message of the bot tells as the last one of the wish about `noun`."""
    if not message.from_bot or f"list of {noun}:" not in message.text:
        return None
    return next((state for sign, state in _ENDS.items() if message.text.startswith(sign)), None)


def judge(conversation: Conversation, tasks: Sequence[dict[str, Any]], chats: Sequence[Chat]) -> list[str]:
    """What is wrong: one task in the expected state, one final screen that says so, in the person's chat only."""
    problems = []
    if len(tasks) != 1:
        problems.append(f"{'lost' if not tasks else 'doubled'}: {len(tasks)} tasks for one wish")
    problems += [f"differs: the task is {task['state']}" for task in tasks if task["state"] != conversation.expected]
    own = finals(conversation.user.chat, conversation.noun)
    if len(own) != 1:
        problems.append(f"{'lost' if not own else 'doubled'}: {len(own)} final screens for one task")
    problems += [f"differs: the screen says {end}" for end in own.values() if end != conversation.expected]
    if any(secret_of(conversation.noun) in message.text for message in conversation.user.chat.screen):
        problems.append("differs: the chat shows the secret")
    for chat in chats:
        if chat.id != conversation.user.id and _has_seen(chat, conversation.noun):
            problems.append(f"astray: chat {chat.id} has seen it")
    return problems


def secret_of(noun: str) -> str:
    """What the person types who is asked for a secret."""
    return f"sk-{noun}-of-the-soak"


def _has_seen(chat: Chat, noun: str) -> bool:
    """Whether the bot ever showed the wish about `noun`, or its project, in this chat."""
    texts = (message.text for frame in chat.frames for message in frame.screen if message.from_bot)
    return any(f"list of {noun}" in text or f"list-{noun}" in text for text in texts)


@dataclass
class Result:
    plan: Plan
    conversations: list[Conversation] = field(default_factory=list)
    faults: "Counter[str]" = field(default_factory=Counter)
    missed: "Counter[str]" = field(default_factory=Counter)
    """What was to go wrong with a request of the bot that never came; it is not among the faults."""
    minutes: float = 0.0

    def found(self, kind: str) -> int:
        return sum(problem.startswith(kind) for one in self.conversations for problem in one.problems)

    @property
    def is_green(self) -> bool:
        tried = self.faults.total() + self.missed.total()
        enough = len(self.conversations) >= self.plan.conversations and tried >= self.plan.faults
        return enough and not any(one.problems for one in self.conversations)


class ChatSoak:
    """Faults and conversations side by side; the conversations are spread over the faults."""

    def __init__(self, system: ChatSystem, plan: Plan, say: Say) -> None:
        self._system = system
        self._plan = plan
        self._say = say
        self._chance = random.Random(f"{plan.seed} faults")
        self._struck = 0
        self._progress = asyncio.Condition()
        self._kills: dict[str, asyncio.Task[None]] = {}
        self._planned: list[tuple[str, Fault]] = []
        self.result = Result(plan)

    async def run(self) -> Result:
        began = time.monotonic()
        striking = asyncio.create_task(self._strike())
        slots = asyncio.Semaphore(self._plan.at_once)
        courses = self._plan.courses()
        lanes = [asyncio.create_task(self._talk(number, course, slots)) for number, course in enumerate(courses)]
        try:
            await asyncio.gather(striking, *lanes)
        finally:
            for task in (striking, *lanes, *self._kills.values()):
                task.cancel()
        self._expect_a_living_bot()
        await self._examine()
        self._count_missed()
        self.result.minutes = (time.monotonic() - began) / 60
        return self.result

    # Faults

    async def _strike(self) -> None:
        kinds = self._kinds()
        for number in range(self._plan.faults):
            async with self._progress:
                await self._progress.wait_for(lambda number=number: self._may_strike(number))
            await asyncio.sleep(self._chance.uniform(*_PAUSE_S))  # the planned moment, not a wait for a fact
            name, strike = kinds[number % len(kinds)]
            self._say(f"fault {number + 1}: {name}")
            await strike()
            self.result.faults[name] += 1
            async with self._progress:
                self._struck += 1
                self._progress.notify_all()
        await asyncio.gather(*self._kills.values())

    def _may_strike(self, number: int) -> bool:
        """So that the last conversations get their part of the faults, too."""
        return len(self.result.conversations) > number * self._plan.conversations / self._plan.faults

    def _kinds(self) -> list[tuple[str, Callable[[], Awaitable[None]]]]:
        """Every kind in every round, in an order that the seed decides."""
        answers = {
            "429": Fault(Kind.RETRY_AFTER, "editMessageText", seconds=2),
            "429 on sending": Fault(Kind.RETRY_AFTER, "sendMessage", seconds=2),
            "5xx": Fault(Kind.SERVER_ERROR, "editMessageText", times=2),
            "a page instead of an answer": Fault(Kind.PAGE, "editMessageText"),
            "connection lost before an edit": Fault(Kind.DROP_BEFORE, "editMessageText"),
            "connection lost after an edit": Fault(Kind.DROP_AFTER, "editMessageText"),
            "batch of updates lost on its way": Fault(Kind.DROP_AFTER, "getUpdates"),
            "answer to a button lost": Fault(Kind.DROP_AFTER, "answerCallbackQuery"),
        }
        kinds: list[tuple[str, Callable[[], Awaitable[None]]]] = [
            *((f"SIGKILL {part}", self._killer(part)) for part in ("bot", "workers", "bot", "api", "bot", "temporal")),
            *(("updates repeated", self._repeat) for _ in range(3)),
            *(("updates reordered", self._reorder) for _ in range(2)),
            *(("updates held back", self._hold) for _ in range(2)),
            *((name, self._planner(name, fault)) for name, fault in answers.items()),
        ]
        self._chance.shuffle(kinds)
        return kinds

    def _killer(self, part: str) -> Callable[[], Awaitable[None]]:
        async def strike() -> None:
            """Parts may be down at the same time; one that is down is waited for, to be killed again."""
            if (before := self._kills.get(part)) is not None:
                await before
            self._kills[part] = asyncio.create_task(self._kill(part))

        return strike

    async def _kill(self, part: str) -> None:
        if part == "bot":
            self._expect_a_living_bot()
            await self._system.bot.kill()
            await self._system.bot.start()
        else:
            await kill(self._system.stack, part)

    def _expect_a_living_bot(self) -> None:
        """A bot that ended by itself must not be revived by the next kill, unseen."""
        process = self._system.bot.process
        assert process is not None
        assert process.returncode is None, (
            f"the bot ended by itself with {process.returncode}; see {self._system.bot.log}"
        )

    async def _repeat(self) -> None:
        """Any of the last updates, also those of conversations that have ended."""
        known = self._system.telegram.updates.known[-_REPEATABLE:]
        if known:
            self._system.telegram.updates.repeat(self._chance.choice(known))

    async def _reorder(self) -> None:
        """What comes within the next seconds arrives in one batch, shuffled."""
        updates = self._system.telegram.updates
        updates.hold()
        updates.reorder(seed=self._chance.randrange(1000))
        await asyncio.sleep(1.5)  # how long it is held back
        for update in updates.known[-2:]:
            updates.repeat(update)
        updates.release()

    async def _hold(self) -> None:
        self._system.telegram.updates.hold()
        await asyncio.sleep(2)  # how long it is held back
        self._system.telegram.updates.release()

    def _planner(self, name: str, fault: Fault) -> Callable[[], Awaitable[None]]:
        async def strike() -> None:
            one = replace(fault)
            self._planned.append((name, one))
            self._system.telegram.faults.plan(one)

        return strike

    def _count_missed(self) -> None:
        for name, fault in self._planned:
            if any(one is fault for one in self._system.telegram.faults.planned):
                self.result.faults[name] -= 1
                self.result.missed[name] += 1

    # Conversations

    async def _talk(self, number: int, course: str, slots: asyncio.Semaphore) -> None:
        per = self._plan.faults / self._plan.conversations
        async with self._progress:
            await self._progress.wait_for(lambda: self._struck >= (number - self._plan.at_once) * per)
        async with slots:
            language = "ru" if number % 3 == 2 else "en"
            user = await self._invited(language, f"Person {number + 1}")
            conversation = Conversation(user, NOUNS[number % len(NOUNS)], course, time.monotonic())
            async with self._progress:
                self.result.conversations.append(conversation)
                self._progress.notify_all()
            self._say(f"{conversation.noun}: {course}")
            try:
                async with asyncio.timeout(promised(_LONGEST_S)):
                    await follow(conversation)
            except (TimeoutError, LookupError) as error:
                conversation.problems.append(f"stuck: {error or f'no end within {_LONGEST_S:g} s'}")
            conversation.took_s = time.monotonic() - conversation.started
            self._say(f"{conversation.noun}: ended after {conversation.took_s:.1f} s")

    async def _invited(self, language: str, name: str) -> ChatUser:
        """A new person; the administrator retries while the API is unavailable."""
        while True:
            try:
                return await self._system.member(language, name)
            except (httpx.HTTPError, AssertionError):
                await asyncio.sleep(0.5)

    async def _examine(self) -> None:
        """When everything has ended and nothing is on its way any more."""
        updates = self._system.telegram.updates
        await self._system.until(lambda: updates.polled and not updates.pending, message="all updates are taken")
        await self._system.until(self._all_ended, 60, message="the end of every task")
        chats = list(self._system.telegram.chats.values())
        for one in self.result.conversations:
            one.problems += judge(one, await self._system.tasks_of(one.user), chats)
            if one.expected == "completed" and not one.problems:
                one.problems += await _deployed(one)
            if one.problems:
                self._say(f"{one.noun}: {'; '.join(one.problems)}\n{one.user.chat.show()}")

    async def _all_ended(self) -> bool:
        tasks = [task for one in self.result.conversations for task in await self._system.tasks_of(one.user)]
        return all(task["state"] in FINAL for task in tasks)


async def follow(conversation: Conversation) -> None:
    """Say the wish, do what the screen asks for, and be back when it shows the end."""
    prefix = "/new " if conversation.course == "command" else ""
    conversation.user.say(f"{prefix}{conversation.wish}")
    chat = conversation.user.chat
    while not finals(chat, conversation.noun):
        seen = len(chat.frames)
        done = act(conversation)
        try:
            await chat.wait(lambda chat, seen=seen: len(chat.frames) > seen, _PATIENCE_S if done else 1.0)
        except TimeoutError:
            continue
        if done:
            # What was said or pressed makes a frame of its own: time for the bot to react.
            await asyncio.sleep(3)


def act(conversation: Conversation) -> bool:
    """Whether the screen asked for something, which was said or pressed."""
    user, course = conversation.user, conversation.course
    screen = next((one for one in reversed(user.screens) if one.buttons), None)
    if screen is None:
        return False
    buttons = [button.data or "" for button in screen.buttons]
    if course == "stop":
        sure = [data for data in buttons if data.endswith(":sure")]
        user.forge(screen, (sure or [data for data in buttons if data.startswith("c:")])[0])
        return True
    if "❓" not in screen.text:
        return False
    if course == "answer in words":
        user.say("title, author, year:int", reply_to=screen)
    elif course == "secret":
        user.say(secret_of(conversation.noun), reply_to=screen)
    elif course == "answer by button":
        user.forge(screen, [data for data in buttons if data.startswith("a:")][-1])
    else:
        return False
    return True


async def _deployed(conversation: Conversation) -> list[str]:
    """Whether the URL of the final screen leads to the service of this wish."""
    final = next(one for one in reversed(conversation.user.screens) if end_of(one, conversation.noun))
    async with httpx.AsyncClient(base_url=link(final), trust_env=False, timeout=patience(20)) as http:
        reply = await http.get(f"/{conversation.noun}")
    return [] if reply.status_code == 200 else [f"differs: {link(final)}/{conversation.noun} says {reply.status_code}"]
