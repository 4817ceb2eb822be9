"""One account: its machines, what they cost, and the tasks that Time4VPS does with them."""

import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime

REINSTALL, RESET_PASSWORD = "server_recreate", "server_reset_password"
OSES = ("kvm-debian-12-x86_64", "kvm-debian-13-x86_64", "kvm-ubuntu-24.04-gpt-x86_64")


def _now() -> datetime:
    return datetime.now(UTC)


@dataclass
class Task:
    """`looks_left`: how often it is still shown as running; None never ends. `is_fine` False: it ends with an error."""

    id: int
    name: str
    activated: datetime
    results: str
    looks_left: int | None
    password: str | None = None
    completed: datetime | None = None

    def document(self) -> dict[str, object]:
        done = self.completed is not None
        return {
            "name": self.name,
            "activated": self.activated.isoformat(timespec="seconds"),
            "assigned": self.activated.isoformat(timespec="seconds"),
            "completed": self.completed.isoformat(timespec="seconds") if self.completed else "",
            "results": self.results if done else "",
        }


@dataclass
class Machine:
    """`installations` and `passwords` are what really happened, oldest first: a test compares them."""

    id: int
    domain: str
    ip: str
    price: str = "9.99"
    os: str = OSES[0]
    ssh_key: str = ""
    tasks: list[Task] = field(default_factory=list)
    installations: list[str] = field(default_factory=list)
    passwords: list[str] = field(default_factory=list)

    @property
    def active(self) -> Task | None:
        return next((task for task in self.tasks if task.completed is None), None)


@dataclass
class Account:
    """`looks` is how often a new task is shown as running, `form` how its password is shown: html, text or none."""

    username: str = "api@example.org"
    password: str = "emulated-password"
    machines: dict[int, Machine] = field(default_factory=dict)
    looks: int | None = 1
    form: str = "html"
    fails: bool = False
    now: Callable[[], datetime] = _now
    _last: int = 7_000

    def add(self, number: int, *, ip: str = "203.0.113.10", price: str = "9.99") -> Machine:
        made = Machine(number, f"vps-{number}.example.org", ip, price)
        self.machines[number] = made
        return made

    def reinstall(self, machine: Machine, os: str, ssh_key: str) -> Task:
        machine.os, machine.ssh_key = os, ssh_key
        machine.installations.append(os)
        return self._begin(machine, REINSTALL)

    def reset_password(self, machine: Machine) -> Task:
        return self._begin(machine, RESET_PASSWORD)

    def _begin(self, machine: Machine, name: str) -> Task:
        self._last += 1
        password = f"{secrets.token_urlsafe(9)}&\"'x"
        machine.passwords.append(password)
        results = "Error: the task could not be done" if self.fails else _shown(self.form, password)
        task = Task(self._last, name, self.now(), results, self.looks, password)
        machine.tasks.append(task)
        return task

    def look(self, task: Task) -> Task:
        """One look more: a task is over after as many as it takes."""
        if task.completed is None and task.looks_left is not None:
            task.looks_left -= 1
            if task.looks_left < 0:
                task.completed = self.now()
        return task


def _shown(form: str, password: str) -> str:
    if form == "html":
        script = "".join(f"\\{character}" if character in "\\'\"" else character for character in password)
        script = script.replace("&", "&amp;").replace("'", "&#39;")
        return f"Password: \t<a href='#' onclick='this.innerHTML = \"{script}\"; return false'>Click to show</a>"
    return f"New root password: {password}\nThe server has been set up." if form == "text" else "Done."
