"""Which columns the Web UI's list of workflows begins with.

No address can say it: the Web UI reads the columns from the browser's storage, where a person's own choice is kept,
too. So its pages write ours there before its scripts run, and leave a choice alone.
"""

import json

from contracts.names import SearchAttribute

_NAMESPACE = "default"
_PINNED = ["Status", "Workflow ID"]
_COLUMNS = [SearchAttribute.PROJECT_NAME, SearchAttribute.STAGE, SearchAttribute.USER_ID, "Type", "Start", "End"]
_STORED = json.dumps([{"label": label, "pinned": label in _PINNED} for label in [*_PINNED, *_COLUMNS]])
_SCRIPT = f"""<script>
try {{
  const key = "namespace-workflow-table-columns";
  const columns = JSON.parse(localStorage.getItem(key)) ?? {{}};
  if (!columns["{_NAMESPACE}"]?.length) {{
    columns["{_NAMESPACE}"] = {_STORED};
    localStorage.setItem(key, JSON.stringify(columns));
  }}
}} catch {{
  // without storage the Web UI shows its own columns
}}
</script>""".encode()


def with_columns(page: bytes) -> bytes:
    """The page with our columns for a browser that has none; a page that starts no script stays as it is."""
    return page.replace(b"<script>", _SCRIPT + b"<script>", 1)
