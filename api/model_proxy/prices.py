"""What a request costs: by the table of `genai-prices`, which is part of the installation and asks nobody."""

from dataclasses import dataclass
from decimal import Decimal

from genai_prices import Usage, calc_price

from api.model_proxy.usage import TokenUse

_MILLION = Decimal(1_000_000)
_BYTES_OF_A_TOKEN = 4
EXPECTED_OUTPUT = 1_000
"""Tokens of a middling answer: what an open request is shown to cost."""


def tokens_of(size: int) -> int:
    """Roughly how many tokens so many bytes are."""
    return size // _BYTES_OF_A_TOKEN + 1


@dataclass(frozen=True)
class Price:
    """US dollars; not `known` when the table has no price for the model, and the configured rate was taken."""

    usd: Decimal
    known: bool


@dataclass(frozen=True)
class Prices:
    """`input_rate` and `output_rate` are US dollars for a million tokens of a model that the table does not know."""

    input_rate: Decimal
    output_rate: Decimal

    def price(self, account: str, model: str, use: TokenUse) -> Price:
        """What this use costs; first by the vendor's own prices, then by those of anybody who sells the model."""
        usage = _usage(use)
        for provider in (account, None):
            try:
                return Price(calc_price(usage, model, provider_id=provider).total_price, known=True)
            except (LookupError, ValueError):
                continue
        return Price(self._at_the_rate(use), known=False)

    def estimate(self, account: str, model: str, body_bytes: int, output: int = EXPECTED_OUTPUT) -> Decimal:
        """What an answer of `output` tokens counts for before anybody has seen it: its input by the bytes sent."""
        return self.price(account, model, TokenUse(input=tokens_of(body_bytes), output=output)).usd

    def _at_the_rate(self, use: TokenUse) -> Decimal:
        sent = use.input + use.cache_read + use.cache_write
        return (sent * self.input_rate + use.output * self.output_rate) / _MILLION


def _usage(use: TokenUse) -> Usage:
    searches = {"web_searches": use.web_searches} if use.web_searches else {}
    return Usage(
        # The table counts what a cache had as input, too.
        input_tokens=use.input + use.cache_read + use.cache_write,
        output_tokens=use.output,
        cache_read_tokens=use.cache_read,
        cache_write_tokens=use.cache_write,
        cache_write_1h_tokens=use.cache_write_1h,
        **searches,
    )
