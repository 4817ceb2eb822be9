"""Asks a watching person what a workflow asks, at a prompt beside the progress that goes on."""

from __future__ import annotations

import asyncio

from pydantic import SecretStr

from cli.terminal.output import Output
from cli.terminal.prompt import ask_line, can_ask
from cli.terminal.tables import chosen, show_question
from contracts.base import new_id
from contracts.errors import ErrorCode, OrchestratorError
from contracts.nouns import AnswerRequest
from contracts.questions import QuestionDTO
from contracts.states import QuestionState
from runtime.api_client import ApiClient

_TRY_AGAIN = {ErrorCode.QUESTION_WRONG_CHOICE, ErrorCode.INVALID_INPUT}


class Asking:
    """Each question is printed once. At a terminal it can be answered; if somebody else does, the prompt goes."""

    def __init__(self, api: ApiClient, out: Output) -> None:
        self._api = api
        self._out = out
        self._asked: set[str] = set()
        self._prompts: dict[str, asyncio.Task[None]] = {}
        self._one_at_a_time = asyncio.Lock()

    async def show(self, question_id: str, *, prompts: bool) -> bool:
        """Print an open question that was not printed before, and ask it if a person sits there.

        False when there is nothing to ask: it was asked before, or is closed.
        """
        question = await self._api.question(question_id)
        if question.state is not QuestionState.OPEN:
            self._take_back(question_id)
            return False
        if question_id in self._asked:
            return False
        self._asked.add(question_id)
        asks_here = prompts and not self._out.as_json and can_ask()
        self._out.document({"question": question.model_dump(mode="json")})
        show_question(question, self._out, asks_here=asks_here)
        if asks_here:
            self._prompts[question_id] = asyncio.create_task(self._ask(question))
        return True

    async def close(self) -> None:
        """Take back what is still asked."""
        for prompt in self._prompts.values():
            prompt.cancel()
        await asyncio.gather(*self._prompts.values(), return_exceptions=True)

    def _take_back(self, question_id: str) -> None:
        prompt = self._prompts.pop(question_id, None)
        if prompt is not None and not prompt.done():
            prompt.cancel()

    async def _ask(self, question: QuestionDTO) -> None:
        async with self._one_at_a_time:
            while (answer := await self._read(question)) is not None:
                try:
                    accepted = await self._api.answer(question.id, answer)
                except OrchestratorError as error:
                    self._out.advise(error.message)
                    if error.code in _TRY_AGAIN:
                        continue
                else:
                    self._out.tell(accepted.message or f"Answered {question.id}.")
                return
            self._out.advise(f"Not answered; it stays open: orchestrator question show {question.id}")

    async def _read(self, question: QuestionDTO) -> AnswerRequest | None:
        """The answer; None when the person leaves the question open."""
        if question.secret_names:
            secrets: dict[str, SecretStr] = {}
            for name in question.secret_names:
                value = await ask_line(f"Value of {name} (hidden; only Enter leaves the question open): ", hidden=True)
                if not value:
                    return None
                secrets[name] = SecretStr(value)
            return AnswerRequest(answer_id=new_id(), plan_hash=question.plan_hash, secrets=secrets)
        how = "Number or text" if question.choices else "Your answer"
        text = await ask_line(f"{how} (only Enter leaves the question open): ")
        if not text or not text.strip():
            return None
        meant = chosen(text, question.choices)
        return AnswerRequest(answer_id=new_id(), plan_hash=question.plan_hash, text=meant)
