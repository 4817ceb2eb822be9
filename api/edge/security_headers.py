"""Headers that tell browsers what a reply may do; every reply has them."""

from starlette.datastructures import MutableHeaders

from runtime.settings import WEB_UI_PATH, Settings

POLICY = "Content-Security-Policy"
_NOTHING = "default-src 'none'; frame-ancestors 'none'; base-uri 'none'"
PAGE_POLICY = f"{_NOTHING}; style-src 'unsafe-inline'; form-action 'self'"
"""Of our own pages: no script, no frame, no picture, forms to ourselves."""
WEB_UI_POLICY = "frame-ancestors 'self'; object-src 'none'; base-uri 'self'"
"""Of the Temporal Web UI, which shows its own pages in frames; which scripts run, `script_policy` adds."""
_FOREVER = "max-age=31536000"
_ALWAYS = {
    "X-Content-Type-Options": "nosniff",
    # Not `no-referrer`: with that a browser would not say where a form comes from.
    "Referrer-Policy": "same-origin",
}
WITHOUT_A_PATH = {**_ALWAYS, "X-Frame-Options": "DENY", POLICY: _NOTHING}
"""Of replies to what is no request: the server gives them before the application hears of it."""


def add(headers: MutableHeaders, path: str, settings: Settings) -> None:
    """Add what the reply to a request for `path` does not have yet."""
    is_web_ui = path == WEB_UI_PATH or path.startswith(f"{WEB_UI_PATH}/")
    for name, value in _ALWAYS.items():
        headers.setdefault(name, value)
    headers.setdefault("X-Frame-Options", "SAMEORIGIN" if is_web_ui else "DENY")
    headers.setdefault(POLICY, WEB_UI_POLICY if is_web_ui else _NOTHING)
    if settings.site_url.startswith("https:"):
        headers.setdefault("Strict-Transport-Security", _FOREVER)
        headers.setdefault("Cross-Origin-Opener-Policy", "same-origin")
