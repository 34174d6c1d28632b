"""People who only read are not staff, and sign in all the same."""

import pytest
from django.test import Client

from tests.factories import people

pytestmark = pytest.mark.django_db


def test_a_reader_signs_in_without_being_staff(client: Client) -> None:
    reader = people.person()
    reader.set_password("a long enough secret")
    reader.save()
    assert client.get("/login/").status_code == 200
    answer = client.post("/login/", {"username": reader.username, "password": "a long enough secret", "next": "/o/"})
    assert (answer.status_code, answer["Location"]) == (302, "/o/")
    assert client.session["_auth_user_id"] == str(reader.pk)


def test_a_wrong_password_signs_nobody_in(client: Client) -> None:
    reader = people.person()
    answer = client.post("/login/", {"username": reader.username, "password": "something else"})
    assert answer.status_code == 200
    assert "_auth_user_id" not in client.session


def test_signing_in_never_leads_to_another_site(client: Client) -> None:
    reader = people.person()
    reader.set_password("a long enough secret")
    reader.save()
    answer = client.post(
        "/login/", {"username": reader.username, "password": "a long enough secret", "next": "https://elsewhere.test/"}
    )
    assert answer["Location"] == "/graphql/"
