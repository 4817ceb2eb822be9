"""Wishes about how a service looks and feels that stand in lists of fields: `title, dark mode`. None of them is built.

Only phrases that can hardly be the name of a field; one that has a type, such as `dark mode:bool`, is a field all the
same. Words like `mode`, `theme`, `design` and `style` alone are fields.
"""

import re

_VERY = r"(?:(?:a|an|the)\s+)?(?:(?:very|really|super|so|quite|extremely|more)\s+)?"
_NICE = (
    r"(?:nice|good|great|beautiful|pretty|modern|clean|simple|minimal(?:ist(?:ic)?)?|responsive|adaptive|fast|quick|"
    r"intuitive|convenient|comfortable|handy|easy|friendly|stylish|cool|elegant|sleek|fancy|attractive|colou?rful|"
    r"accessible|dark|light|reliable|stable|robust|scalable|secure|lightweight|(?:user|mobile|touch)[\s-]friendly)"
)
_LOOK = (
    r"(?:design|interface|ui|ux|gui|look|looks|layout|styling|appearance|front-?end|website|app|navigation|"
    r"animations?|themes?|experience|colou?rs?|fonts?|typography|back-?end|server|service|system|code)"
)
_ENGLISH = (
    rf"{_VERY}(?:fast|responsive|beautiful|intuitive|adaptive|stylish|minimalist(?:ic)?|modern|reliable|scalable|"
    r"lightweight|good[\s-]looking|cross[\s-]platform)",
    rf"{_VERY}(?:mobile|user|touch|print|keyboard|seo|child|kids?)[\s-]friendly",
    r"(?:dark|light|night|high[\s-]contrast)\s+(?:mode|theme|skin|colou?r\s+scheme)",
    rf"{_VERY}{_NICE}(?:,?\s+{_NICE})?\s+{_LOOK}",
    r"looks?\s+(?:nice|good|great|beautiful|modern|cool)",
    r"(?:mobile|tablet|desktop)\s+(?:version|support|layout|view|app)",
    r"(?:fast|quick|high|good)\s+(?:loading|load\s+times?|performance|speed)",
)
_RUSSIAN_VERY = r"(?:(?:очень|максимально|супер|более)\s+)?"
_RUSSIAN_NICE = (
    r"(?:быстр|удобн|красив|современн|адаптивн|отзывчив|стильн|минималистичн|интуитивн|понятн|приятн|тёмн|темн|"
    r"светл|ночн|хорош|крут|классн|прост|лаконичн|дружелюбн|мобильн|чист|аккуратн|надёжн|надежн|стабильн)\w+"
)
_RUSSIAN_LOOK = (
    r"(?:тем(?:а|у|ой|ы)|режим\w{0,2}|интерфейс\w{0,2}|дизайн\w{0,2}|оформлени\w{1,2}|вид\w{0,2}|в[её]рстк\w{1,2}|"
    r"стил\w{1,2}|анимаци\w{1,2}|приложени\w{1,2}|сайт\w{0,2}|верси\w{1,2}|навигаци\w{1,2}|цвет\w{0,2}|"
    r"шрифт\w{0,2}|сервер\w{0,2}|сервис\w{0,2}|код\w{0,2})"
)
_RUSSIAN = (
    rf"{_RUSSIAN_VERY}(?:быстр|красив|удобн|адаптивн|отзывчив|стильн|современн|минималистичн)(?:о|ый|ая|ое|ые|ым|ой)",
    rf"{_RUSSIAN_VERY}{_RUSSIAN_NICE}(?:\s+{_RUSSIAN_NICE})?\s+(?:внешн\w+\s+)?{_RUSSIAN_LOOK}",
    r"(?:адаптивность|отзывчивость|удобство|быстродействие)",
)
_QUALITY = re.compile(rf"{_VERY}{_NICE}|{_RUSSIAN_VERY}{_RUSSIAN_NICE}", re.IGNORECASE)
_WISH = re.compile("|".join(f"(?:{one})" for one in (*_ENGLISH, *_RUSSIAN)), re.IGNORECASE)


def is_about_the_interface(item: str) -> bool:
    """Whether an item of a list without a type is no field but a wish about looks, comfort or speed."""
    return _WISH.fullmatch(" ".join(item.split())) is not None


def is_quality(item: str) -> bool:
    """Whether an item is one adjective of such a wish: the first of `clean and simple design`."""
    return _QUALITY.fullmatch(" ".join(item.split())) is not None
