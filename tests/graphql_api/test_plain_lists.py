"""Lists written the short way are what the executor would have made of them, errors included."""

from __future__ import annotations

import asyncio
import enum
from functools import cache
from typing import TYPE_CHECKING, Annotated, Any, NewType

import pytest
import strawberry
from hypothesis import given, settings
from hypothesis import strategies as st
from strawberry.extensions import SchemaExtension
from strawberry.schema.config import StrawberryConfig

from graphql_api.plain_fields import shorten
from graphql_api.plain_lists import PlainListsExecutor

if TYPE_CHECKING:
    from collections.abc import Callable

    from graphql import GraphQLOutputType, GraphQLResolveInfo
    from graphql.execution.collect_fields import FieldDetailsList


Text = NewType("Text", str)
# Makes a text of anything but one value, so that nothing but the executor's own rules refuses a value.
TEXT = strawberry.scalar(name="Text", serialize=lambda value: None if value == "nothing" else str(value))


@strawberry.enum
class Colour(enum.Enum):
    """A leaf that refuses what is not one of it."""

    RED = "r"
    GREEN = "g"


@strawberry.interface
class Named:
    """Types are found out value by value."""

    name: str


@strawberry.type
class Pet(Named):
    """One that is named."""

    legs: int


@strawberry.type
class Leaf:
    """Every kind of value; where the types forbid a value, the tests put it all the same."""

    size: int
    vein: int | None
    colour: Colour
    inner: list[int | None]
    outer: list[int] | None
    child: Leaf | None
    note: Text | None
    must: Text
    tags: list[Text]

    @strawberry.field
    def painted(self, colour: Annotated[Colour, strawberry.argument(name="with")] = Colour.RED) -> str:
        return f"{colour!r} {self.size}"

    @strawberry.field
    def informed(self, info: strawberry.Info) -> str:
        return f"{info.field_name} at {info.path.as_list()}"


@strawberry.type
class Query:
    """Roots."""

    leaves: list[Leaf]
    wanted: list[Leaf | None] | None
    pets: list[Named]
    words: list[Text] | None = None


FRAGMENT = "fragment parts on Leaf { size veins: vein child { size } child { colour } }"
QUERY = (
    """query ($green: Colour!, $no: Boolean!) {
  leaves { __typename ...parts inner outer painted given: painted(with: GREEN) told: painted(with: $green)
           colour @skip(if: $no) left: size @include(if: $no) }
  wanted { colour vein note child { inner outer child { size } } }
  kinds: leaves { child { __typename } must tags }
  notes: leaves { __typename note tags }
  words
}"""
    + FRAGMENT
)
MIXED = "{ leaves { size informed child { size } } pets { __typename name ... on Pet { legs } } }"


Extensions = tuple[type[SchemaExtension], ...]


@cache
def schema_of(extensions: Extensions, *, short: bool) -> strawberry.Schema:
    found = strawberry.Schema(
        query=Query,
        types=[Pet],
        extensions=extensions,
        config=StrawberryConfig(scalar_map={Text: TEXT}),
        execution_context_class=PlainListsExecutor if short else None,
    )
    if short:
        shorten(found)
    return found


def answer(
    query: str, root: object, *, short: bool, extensions: Extensions = ()
) -> tuple[dict[str, Any] | None, list[tuple[object, ...]]]:
    """The data, and what is told of each error."""
    asked = schema_of(extensions, short=short).execute(
        query, root_value=root, variable_values={"green": "GREEN", "no": False}
    )
    found = asyncio.run(asked)
    return found.data, [(error.message, error.path, error.locations) for error in found.errors or []]


def leaf(size: int = 1, child: Leaf | None = None) -> Leaf:
    note = Text("note")
    return Leaf(
        size=size,
        vein=size,
        colour=Colour.GREEN,
        inner=[None, 2],
        outer=[1],
        child=child,
        note=note,
        must=note,
        tags=[note],
    )


VALUES = st.one_of(
    st.integers(-3, 3), st.none(), st.sampled_from(["text", "nothing"]), st.builds(ValueError, st.just("a value"))
)
LISTS = st.one_of(st.none(), st.lists(VALUES, max_size=6), st.just("abcd"), st.just(7), st.just({"a": 1, "b": 2}))
WORDS = LISTS | st.just({"a": 1, "b": 2, "c": 3, "d": 4})
CHANGES = st.one_of(
    st.tuples(st.sampled_from(["size", "vein", "note", "must", "colour", "child"]), VALUES),
    st.tuples(st.sampled_from(["inner", "outer", "tags"]), LISTS),
)


@st.composite
def leaves(draw: st.DrawFn) -> list[Leaf] | tuple[Leaf, ...]:
    """Leaves in order but for one or two values: a list full of mistakes says little of each."""
    found: list[Any] = [leaf(size, leaf() if size % 3 else None) for size in range(draw(st.integers(3, 6)))]
    for _ in range(draw(st.integers(0, 2))):
        changed = draw(st.sampled_from(found))
        name, value = draw(CHANGES)
        target = changed.child if draw(st.booleans()) and isinstance(changed.child, Leaf) else changed
        setattr(target, name, value)
    if draw(st.integers(0, 9)) == 0:
        found[1] = draw(st.none() | st.builds(KeyError, st.just("leaf")))
    return found if draw(st.booleans()) else tuple(found)


@settings(max_examples=100)
@given(first=leaves(), second=st.none() | leaves(), words=WORDS)
def test_answers_and_errors_do_not_change(first: list[Leaf], second: list[Leaf | None], words: list[Text]) -> None:
    root = Query(leaves=first, wanted=second, pets=[], words=words)
    assert answer(QUERY, root, short=True) == answer(QUERY, root, short=False)


@pytest.fixture
def plain(monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """For each list that is long enough: whether it was written the short way."""
    found: list[bool] = []
    writer = PlainListsExecutor.writer

    def recorded(
        self: PlainListsExecutor, kind: GraphQLOutputType, details: FieldDetailsList
    ) -> Callable[[object], object] | None:
        write = writer(self, kind, details)
        found.append(write is not None)
        return write

    monkeypatch.setattr(PlainListsExecutor, "writer", recorded)
    return found


def test_plain_lists_are_written_the_short_way(plain: list[bool]) -> None:
    root = Query(leaves=[leaf(size, leaf(0)) for size in range(5)], wanted=[leaf(), None, leaf(), leaf()], pets=[])
    data, errors = answer(QUERY, root, short=True)
    assert plain == [True, True, True, True]
    assert errors == []
    assert data is not None
    assert data["leaves"][3] == {
        "__typename": "Leaf",
        "size": 3,
        "veins": 3,
        "child": {"size": 0, "colour": "GREEN"},
        "painted": "<Colour.RED: 'r'> 3",
        "given": "<Colour.GREEN: 'g'> 3",
        "told": "<Colour.GREEN: 'g'> 3",
        "colour": "GREEN",
        "inner": [None, 2],
        "outer": [1],
    }


@pytest.mark.parametrize("short", [False, True])
def test_what_can_be_gone_through_once_alone_is_left_to_the_executor(short: bool) -> None:  # noqa: FBT001 a parameter
    words = (Text(word) for word in "abcdef")
    data, errors = answer("{ words }", Query(leaves=[], wanted=None, pets=[], words=words), short=short)  # type: ignore[arg-type] # no list
    assert (data, errors) == ({"words": list("abcdef")}, [])


def test_other_lists_are_left_to_the_executor(plain: list[bool]) -> None:
    root = Query(
        leaves=[leaf(size) for size in range(5)], wanted=None, pets=[Pet(name=f"p{n}", legs=n) for n in range(5)]
    )
    assert answer(MIXED, root, short=True) == answer(MIXED, root, short=False)
    assert plain == [False, False]


class Doubled(SchemaExtension):
    """An extension that looks at every field."""

    def resolve(
        self, _next: Callable[..., object], root: object, info: GraphQLResolveInfo[Any], *args: str, **kwargs: object
    ) -> object:
        found = _next(root, info, *args, **kwargs)
        return found * 2 if isinstance(found, int) else found


def test_extensions_of_fields_are_heard(plain: list[bool]) -> None:
    root = Query(leaves=[leaf(size) for size in range(5)], wanted=None, pets=[])
    data, _ = answer("{ leaves { size } }", root, short=True, extensions=(Doubled,))
    assert plain == [False]
    assert data is not None
    assert [row["size"] for row in data["leaves"]] == [0, 2, 4, 6, 8]
