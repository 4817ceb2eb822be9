"""Names that derive from an update, so that the same update names the same things."""

from slugify import slugify

from bot.texts import LANGUAGES, texts

_LONGEST = 32


def screen_id(bot_id: int, update_id: int) -> str:
    """The id of what an update asks for; the request id of the work that it starts."""
    return f"tg-{bot_id}-{update_id}"


def screen_id_of_retry(task_id: str) -> str:
    """One more attempt after a task: pressing twice is the same attempt."""
    return f"again-{task_id}"


def project_id(screen: str) -> str:
    return f"p-{screen}"


def project_names(wish: str, screen: str) -> list[str]:
    """A name made of the words that say what it is about, and one that nobody else has."""
    ignored = [word for language in LANGUAGES for word in texts(language).plain("naming-ignored").split()]
    # What follows a colon are fields.
    subject = wish.partition(":")[0]
    name = slugify(subject, max_length=_LONGEST, word_boundary=True, stopwords=[slugify(word) for word in ignored])
    if not name or not name[0].isalpha():
        name = f"{texts('en').plain('naming-nothing')}-{name}".strip("-")
    return [name, f"{name}-{screen.rpartition('-')[2][-6:]}"]
