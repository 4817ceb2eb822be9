"""Which scripts a page of the Web UI may run.

Below a public path the Web UI's server leaves out the policy of its pages, since it changes their inline script and
does not compute its hash again. So the API sends the same policy with the right hash.
"""

import base64
import hashlib
import re

from api.edge.security_headers import WEB_UI_POLICY

_INLINE_SCRIPT = re.compile(rb"<script>(.*?)</script>", re.DOTALL)


def script_policy(page: bytes) -> str:
    """A Content-Security-Policy for the inline scripts of this page and what they load; no other script runs."""
    hashes = [base64.b64encode(hashlib.sha256(script).digest()).decode() for script in _INLINE_SCRIPT.findall(page)]
    allowed = ["'strict-dynamic'", *(f"'sha256-{value}'" for value in hashes)] if hashes else ["'none'"]
    return f"script-src {' '.join(allowed)}; {WEB_UI_POLICY}"
