"""Ids and names derived from an update, so that handling the update again finds what it created the first time."""

from slugify import slugify

from bot.texts import LANGUAGES, texts

_MAX_LENGTH = 32


def screen_id(bot_id: int, update_id: int) -> str:
    """The id of the screen that an update opens, and the request id of the delivery that it starts."""
    return f"tg-{bot_id}-{update_id}"


def screen_id_of_retry(task_id: str) -> str:
    """The id of a retry's screen. It derives from the failed task, so pressing the button twice starts one retry."""
    return f"again-{task_id}"


def screen_id_of_doubt(bot_id: int, update_id: int) -> str:
    """The id of what was meant by a text that could be an answer or a description; the first choice counts."""
    return f"tg-{bot_id}-meant-{update_id}"


def project_id(screen: str) -> str:
    return f"p-{screen}"


def project_names(wish: str, screen: str) -> list[str]:
    """A readable name from the subject of the wish, and a unique one in case the first is taken."""
    ignored = [word for language in LANGUAGES for word in texts(language).plain("naming-ignored").split()]
    # Fields follow the colon.
    subject = wish.partition(":")[0]
    name = slugify(subject, max_length=_MAX_LENGTH, word_boundary=True, stopwords=[slugify(word) for word in ignored])
    if not name or not name[0].isalpha():
        name = f"{texts('en').plain('naming-nothing')}-{name}".strip("-")
    return [name, f"{name}-{screen.rpartition('-')[2][-6:]}"]
