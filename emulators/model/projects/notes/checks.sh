set -e
python3 - <<'END_OF_FILE'
import json
import os

criteria = json.load(open("SPEC.json"))["acceptance"]


def criterion(words):
    return next(one["id"] for one in criteria if words in one["sentence"])


def note(expected):
    return {"kind": "http", "method": "POST", "path": "/notes", "expect": expected, "save": {"note": "id"},
            "json": {"title": "Title {unique}", "text": "Text {unique}"}}


def read(expected):
    return {"kind": "http", "method": "GET", "path": "/notes/{note}", "expect": expected}


fields = [{"path": "title", "equals": "Title {unique}"}, {"path": "text", "equals": "Text {unique}"}]
checks = [
    {"id": "kept", "criterion_id": criterion("is kept"), "title": "A note is kept until it is deleted", "steps": [
        note({"status": 201, "json": [{"path": "id", "type": "integer"}]}),
        {"kind": "restart"},
        read({"status": 200}),
        {"kind": "http", "method": "DELETE", "path": "/notes/{note}", "expect": {"status": "2xx"}},
        read({"status": 404}),
    ]},
    {"id": "fields", "criterion_id": criterion("a title and a text"), "title": "A note says what was written",
     "steps": [note({"status": 201}), read({"status": 200, "json": fields})]},
]
outcome = {"status": "done", "summary": "Two checks", "document": {"checks": checks, "not_checkable": {}}}
with open(os.environ["ORCHESTRATOR_OUTCOME"], "w") as file:
    json.dump(outcome, file)
END_OF_FILE
