"""Configuration of the bot."""

from aiogram.utils.token import TokenValidationError, validate_token
from pydantic import field_validator

from services.environment import Environment, Port


class Settings(Environment):
    """Without a token the bot answers HTTP only, and says what it needs."""

    port: Port = 8001
    telegram_bot_token: str = ""
    telegram_api_base: str = "https://api.telegram.org"
    release_phase: str = ""

    @property
    def is_candidate(self) -> bool:
        return self.release_phase == "candidate"

    @field_validator("telegram_bot_token")
    @classmethod
    def is_a_token(cls, text: str) -> str:
        try:
            if text:
                validate_token(text)
        except TokenValidationError:
            raise ValueError("it must be the token that BotFather gave") from None
        return text
