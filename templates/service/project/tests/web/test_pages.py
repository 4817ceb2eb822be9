import re

import pytest
from fastapi.testclient import TestClient

from services.web.app import resources
from services.web.forms import shown


def test_the_first_page_leads_to_every_kind_of_thing(client: TestClient) -> None:
    page = client.get("/")
    assert page.headers["content-type"].startswith("text/html")
    for resource in resources():
        assert f'href="{resource.address}"' in page.text
        assert client.get(resource.address).status_code == 200


def test_the_pages_load_nothing_from_elsewhere_and_need_no_script(client: TestClient) -> None:
    for address in ("/", *(resource.address for resource in resources())):
        page = client.get(address).text
        used = re.findall(r"""(?:src|href|action)=["']?([^"'\s>]+)""", page)
        assert all(found.startswith("/") for found in used)
        assert "<script" not in page
        assert "url(" not in page


def test_a_form_of_another_site_is_refused(client: TestClient) -> None:
    for resource in resources():
        answer = client.post(resource.address, headers={"Sec-Fetch-Site": "cross-site"})
        assert answer.status_code == 403


@pytest.mark.parametrize(("value", "text"), [(None, ""), (True, "on"), (False, ""), (1.5, "1.5")])
def test_a_value_is_shown_as_a_form_takes_it(value: object, text: str) -> None:
    assert shown(value) == text
