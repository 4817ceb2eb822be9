"""A rollback to a release that does not exist is refused before anything starts."""

from tests.support.stack import Stack


async def test_an_unknown_release_starts_no_task(stack: Stack) -> None:
    project = await stack.new_project()
    said = await stack.cli("deploy", "rollback", project, "--release", "nope", "--json")
    assert (said.code, said.json["error"]["code"]) == (3, "NOT_FOUND")
    tasks = (await stack.ok("task", "list"))["items"]
    assert [task for task in tasks if task["subject"]["id"] == project] == []
