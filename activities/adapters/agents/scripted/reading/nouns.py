"""Nouns: one and many in English, the usual Russian ones, and types that a field's name suggests."""

import re

UNCOUNTED = frozenset(
    {"news", "series", "species", "data", "equipment", "information", "software", "furniture", "staff"}
)
SINGULAR_S = frozenset({"gas", "lens", "canvas", "atlas", "bias", "alias", "iris", "tennis"})
IRREGULAR = {
    "people": "person", "children": "child", "men": "man", "women": "woman", "mice": "mouse",
    "feet": "foot", "teeth": "tooth", "geese": "goose", "movies": "movie", "cookies": "cookie",
    "pies": "pie", "ties": "tie", "zombies": "zombie", "selfies": "selfie", "knives": "knife",
    "lives": "life", "wives": "wife", "leaves": "leaf", "shelves": "shelf", "wolves": "wolf",
    "halves": "half", "loaves": "loaf", "shoes": "shoe", "toes": "toe", "quizzes": "quiz",
    "caches": "cache", "aliases": "alias", "biases": "bias", "lenses": "lens", "gases": "gas",
    "analyses": "analysis", "crises": "crisis", "indices": "index", "criteria": "criterion",
}  # fmt: skip
PLURAL = {singular: plural for plural, singular in IRREGULAR.items()}

# Stem of the Russian noun, and the English one. An ending of at most four letters may follow.
RUSSIAN_NOUNS = {
    "замет(?:к|ок)": "note", "задач": "task", "дел": "task", "книг": "book", "рецепт": "recipe",
    "покуп(?:к|ок)": "purchase", "товар": "product", "продукт": "product", "заказ": "order",
    "клиент": "client", "пользовател": "user", "сотрудник": "employee", "контакт": "contact",
    "событи": "event", "встреч": "meeting", "фильм": "movie", "пес(?:н|ен)": "song", "стат(?:ь|е)": "article",
    "пост": "post", "комментари": "comment", "отзыв": "review", "расход": "expense", "доход": "income",
    "плат[её]ж": "payment", "проект": "project", "урок": "lesson", "курс": "course", "студент": "student",
    "ученик": "pupil", "машин": "car", "автомобил": "car", "растени": "plant", "животн": "animal",
    "питом(?:ц|ец)": "pet", "кош(?:к|ек)": "cat", "собак": "dog", "город": "city", "стран": "country",
    "билет": "ticket", "брон(?:ь|и|ировани)": "booking", "иде": "idea", "ссыл(?:к|ок)": "link",
    "привыч(?:к|ек)": "habit", "трениров(?:к|ок)": "workout", "блюд": "dish", "напоминани": "reminder",
    "цел": "goal", "вопрос": "question", "игр": "game", "лекарств": "medicine", "пациент": "patient",
    "врач": "doctor", "цвет(?:к|ок)": "flower", "цветы|цветов|цветами": "flower", "подпис(?:к|ок)": "subscription",
    "категори": "category", "адрес": "address", "автор": "author", "закладк|закладок": "bookmark",
    "запис(?:ь|и|ей|ям|ях)": "entry",
}  # fmt: skip

RUSSIAN_FIELDS = {
    "название": "title", "заголовок": "title", "имя": "name", "фамилия": "surname", "текст": "text",
    "описание": "description", "автор": "author", "год": "year", "дата": "date", "цена": "price",
    "сумма": "amount", "количество": "quantity", "телефон": "phone", "почта": "email", "адрес": "address",
    "комментарий": "comment", "категория": "category", "статус": "status", "готово": "done",
    "сделано": "done", "выполнено": "done", "прочитано": "read", "рейтинг": "rating", "оценка": "rating",
    "возраст": "age", "срок": "due_date", "ссылка": "url", "город": "city", "время": "time", "теги": "tags",
    "ингредиенты": "ingredients", "вес": "weight", "цвет": "color", "жанр": "genre", "тип": "kind",
    "логин": "login", "пароль": "password", "пин": "pin", "пин-код": "pin",
}  # fmt: skip

TYPE_WORDS = {
    "string": "string", "str": "string", "строка": "string", "varchar": "string", "email": "string",
    "text": "text", "текст": "text", "integer": "integer", "int": "integer", "целое": "integer",
    "number": "number", "float": "number", "decimal": "number", "double": "number", "real": "number",
    "money": "number", "число": "number", "дробное": "number", "деньги": "number",
    "boolean": "boolean", "bool": "boolean", "flag": "boolean", "да/нет": "boolean", "флаг": "boolean",
    "date": "date", "дата": "date", "datetime": "datetime", "timestamp": "datetime", "time": "datetime",
}  # fmt: skip

SUGGESTED = (
    (re.compile(r"\w*(password|passwd|passphrase|passcode)s?(_?hash)?\d*|(\w+_)?(pwd|pins?|pin_?code)\d*"), "password"),
    (re.compile(r"(\w+_)?parol[iy]?(_\w+)?"), "password"),
    (re.compile(r"(is|has|can|was)_\w+|done|completed|finished|active|enabled|paid|published|archived"), "boolean"),
    (re.compile(r"(\w+_)?(price|amount|cost)|total|sum|weight|height|distance|balance|salary"), "number"),
    (re.compile(r"count|year|age|quantity|qty|pages|stock|priority|position|\w+_count|number_of_\w+"), "integer"),
    (re.compile(r"\w+_at|datetime"), "datetime"),
    (re.compile(r"due|date|deadline|birthday|\w+_date|due_\w+|\w+_on"), "date"),
    (re.compile(r"text|body|content|description|notes?|comment|ingredients|instructions"), "text"),
)  # fmt: skip

LETTERS = {
    **dict(zip("абвгдеёзийклмнопрстуфхыэ", "abvgdeeziyklmnoprstufhye", strict=True)),
    "ж": "zh",
    "ц": "ts",
    "ч": "ch",
    "ш": "sh",
    "щ": "sch",
    "ю": "yu",
    "я": "ya",
    "ъ": "",
    "ь": "",
}


def transliterated(text: str) -> str:
    """Latin letters for Russian ones, which must be lower-case; the rest stays."""
    return "".join(LETTERS.get(letter, letter) for letter in text)


def singular(word: str) -> str:
    """The singular of a noun. A word that is already singular stays, apart from rare words in -s."""
    if word in IRREGULAR:
        return IRREGULAR[word]
    if word in UNCOUNTED or word in SINGULAR_S or not word.endswith("s") or len(word) < 4:
        return word
    if word.endswith(("ss", "us", "is")):
        return word
    return _without_s(word)


def _without_s(word: str) -> str:
    if word.endswith("ies"):
        return word[:-3] + "y"
    if word.endswith(("sses", "xes", "zzes", "ches", "shes", "oes")):
        return word[:-2]
    if word.endswith("uses") and not word.endswith(("ouses", "auses", "cuses")):
        return word[:-2]
    return word[:-1]


def plural(word: str) -> str:
    """The plural of a singular noun."""
    if word in PLURAL:
        return PLURAL[word]
    if word in UNCOUNTED:
        return word
    if word.endswith("y") and word[-2:-1] not in tuple("aeiou"):
        return word[:-1] + "ies"
    if word.endswith(("s", "x", "z", "ch", "sh")) or word in {"hero", "tomato", "potato", "echo"}:
        return word + "es"
    return word + "s"


def english(word: str) -> str | None:
    """The English noun for a Russian one in any case; None when it is not in the dictionary."""
    for stem, noun in RUSSIAN_NOUNS.items():
        if re.fullmatch(rf"(?:{stem})[а-яё]{{0,4}}", word):
            return noun
    return None


def suggested_type(name: str) -> str:
    """The type that a field's name suggests; string when it suggests none."""
    return next((kind for pattern, kind in SUGGESTED if pattern.fullmatch(name)), "string")
