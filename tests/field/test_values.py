"""A traced function takes the user's own objects: to record them does nothing to them."""

from __future__ import annotations

import argparse
import functools
import warnings
from types import SimpleNamespace
from typing import Any

import pytest

import sessiontrace as st
from sessiontrace.testing import Captured

pytestmark = pytest.mark.contract


def traced(value: object) -> None:
    """A call of a traced function with this value."""
    st.trace(lambda value: None)(value)


def test_a_half_made_order_breaks_no_database_session(traces: Captured) -> None:
    """The user's session holds an order without an item. To read the relationship of a user would
    flush it, and the failed flush would break the session.
    """
    sqlalchemy = pytest.importorskip("sqlalchemy")
    orm = pytest.importorskip("sqlalchemy.orm")

    class Base(orm.DeclarativeBase):
        pass

    class Order(Base):
        __tablename__ = "orders"
        id = orm.mapped_column(sqlalchemy.Integer, primary_key=True)
        item = orm.mapped_column(sqlalchemy.String, nullable=False)
        user_id = orm.mapped_column(sqlalchemy.ForeignKey("users.id"))

    class User(orm.MappedAsDataclass, Base):
        __tablename__ = "users"
        __annotations__ = {"name": orm.Mapped[str], "id": orm.Mapped[int]}  # not global
        id = orm.mapped_column(primary_key=True, default=None)
        name = orm.mapped_column(default="Ada")
        orders = orm.relationship(Order, default_factory=list)
        __annotations__["orders"] = orm.Mapped[list[Order]]

    engine = sqlalchemy.create_engine("sqlite://", poolclass=sqlalchemy.pool.StaticPool)
    Base.metadata.create_all(engine)
    with orm.Session(engine) as session:
        session.add(User())
        session.commit()
        user = session.scalars(sqlalchemy.select(User)).first()
        session.add(Order(item=None))
        traced(user)
        session.expunge_all()
        assert session.scalar(sqlalchemy.select(sqlalchemy.func.count(User.id))) == 1
    engine.dispose()
    (event,) = traces.events
    assert event["inputs"]["value"]["name"] == "Ada"


def test_a_deprecated_field_warns_nowhere(traces: Captured) -> None:
    """Its warning is for the code that reads the field, and the user's does not."""
    pydantic = pytest.importorskip("pydantic")

    class Model(pydantic.BaseModel):  # type: ignore[misc, name-defined]
        old: int = pydantic.Field(default=1, deprecated=True)

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        traced(Model())
    assert traces.events[0]["inputs"] == {"value": {"old": 1}}


class Item:
    """A value that counts how often its text is asked for."""

    asked = 0

    def __repr__(self) -> str:
        Item.asked += 1
        return "item"


@pytest.mark.parametrize(
    "holder",
    [
        lambda items: SimpleNamespace(items=items),
        lambda items: argparse.Namespace(items=items),
        lambda items: functools.partial(print, items),
        lambda items: {"deep": [SimpleNamespace(items=items)]},
    ],
    ids=["SimpleNamespace", "Namespace", "partial", "nested"],
)
def test_work_for_a_large_value_is_bounded(traces: Captured, holder: Any) -> None:
    """20 000 items in an object whose text is the text of all of them."""
    Item.asked = 0
    traced(holder([Item()] * 20_000))
    assert len(traces.events) == 1
    assert Item.asked <= 1_000


def test_work_for_the_arguments_of_an_error_is_bounded(traces: Captured) -> None:
    """An exception's message is the text of its arguments."""
    Item.asked = 0
    with pytest.raises(ValueError), st.span("failing"):
        raise ValueError([Item()] * 20_000)
    assert "ValueError" in traces.events[0]["error"]
    assert Item.asked <= 1_000


class Query:
    """As Django's QuerySet: its length, truth, items and text each run the query."""

    def __init__(self) -> None:
        self.runs: list[str] = []

    def __iter__(self) -> Any:
        self.runs.append("iter")
        return iter([1])

    def __len__(self) -> int:
        self.runs.append("len")
        return 1

    def __bool__(self) -> bool:
        self.runs.append("bool")
        return True

    def __getitem__(self, index: object) -> int:
        self.runs.append("getitem")
        return 1

    def __repr__(self) -> str:
        self.runs.append("repr")
        return "<query>"


def test_a_lazy_query_is_not_run(traces: Captured) -> None:
    """Alone, in a list, in a dataclass-like object and as a result."""
    query = Query()
    traced(query)
    traced([query, {"query": query}, SimpleNamespace(query=query)])
    assert st.trace(lambda: query)() is query
    assert len(traces.events) == 3
    assert query.runs == []
