"""From one sentence to a live URL, as a person with a command line sees it."""

import httpx

from tests.support.stack import Stack


async def test_a_sentence_becomes_a_service_that_does_what_was_asked(stack: Stack) -> None:
    project = await stack.new_project()
    started = await stack.ok("delivery", "start", "--project", project, "A library with books: title, author, year:int")
    task = await stack.finished(started["task_id"])
    assert task["state"] == "completed", task
    async with httpx.AsyncClient(base_url=task["result"]["deployed_url"]) as visitor:
        made = await visitor.post("/books", json={"title": "Emma", "author": "Austen", "year": 1815})
        assert made.status_code == 201
        found = (await visitor.get(f"/books/{made.json()['id']}")).json()
        assert (found["title"], found["year"]) == ("Emma", 1815)
        assert (await visitor.post("/books", json={"title": "x", "author": "y", "year": "soon"})).status_code == 422
        assert (await visitor.get("/books/999")).status_code == 404
