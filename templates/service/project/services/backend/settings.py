"""Configuration of the backend."""

from pathlib import Path
from typing import Self

from pydantic import model_validator

from services.environment import Environment


class Settings(Environment):
    data_dir: Path = Path("data")
    admin_token: str = ""

    @model_validator(mode="after")
    def has_its_secrets(self) -> Self:
        if self.app_env == "production" and not self.admin_token:
            raise ValueError("ADMIN_TOKEN is missing in production")
        return self
