"""Values of real libraries: capture looks at them, and nothing happens: no query, no request."""

from __future__ import annotations

import asyncio
import functools
import socket
import threading
import warnings
from collections.abc import Iterator
from typing import Any
from unittest import mock

import orjson
import pytest
from support.django_settings import configure_django
from support.recording_tracer import Captured

from sessiontrace.capture.encoding.encoder import encode

sqlalchemy = pytest.importorskip("sqlalchemy", reason="the contract group is not installed")
from sqlalchemy import orm  # noqa: E402

pytestmark = pytest.mark.contract


def decoded(value: object) -> Any:
    return orjson.loads(encode(value))


def recorded(value: object) -> Any:
    """What the event of a decorated function holds that takes and returns the value."""
    captured = Captured()

    @captured.trace
    def function(argument: object) -> object:
        return argument

    with captured.session():
        assert function(value) is value
    (event,) = captured.of("event")
    assert not captured.drops
    return event["inputs"]["argument"]


# -- SQLAlchemy ----------------------------------------------------------------------------------


class Base(orm.DeclarativeBase):
    pass


class User(orm.MappedAsDataclass, Base):
    __tablename__ = "users"
    id: orm.Mapped[int] = orm.mapped_column(primary_key=True, init=False)
    name: orm.Mapped[str]
    biography: orm.Mapped[str] = orm.mapped_column(deferred=True, default="long")
    orders: orm.Mapped[list[Order]] = orm.relationship(default_factory=list)


class Order(Base):
    __tablename__ = "orders"
    id: orm.Mapped[int] = orm.mapped_column(primary_key=True)
    item: orm.Mapped[str] = orm.mapped_column(nullable=False)
    user_id: orm.Mapped[int | None] = orm.mapped_column(sqlalchemy.ForeignKey("users.id"))
    user: orm.Mapped[User | None] = orm.relationship(viewonly=True)
    strict: orm.Mapped[User | None] = orm.relationship(viewonly=True, lazy="raise")

    @property
    def owner(self) -> str:
        return self.user.name if self.user else ""

    @functools.cached_property
    def label(self) -> str:
        return f"{self.item} of {self.owner}"

    def __repr__(self) -> str:
        return f"<{self.item} of {self.user}>"


class Database:
    """An engine in memory, with a user and an order; ``statements`` that it was sent."""

    def __init__(self) -> None:
        self.engine = sqlalchemy.create_engine("sqlite://", poolclass=sqlalchemy.pool.StaticPool)
        self.statements: list[str] = []
        Base.metadata.create_all(self.engine)
        with orm.Session(self.engine) as session:
            session.add(User(name="Ada", orders=[Order(item="tea")]))
            session.commit()
        sqlalchemy.event.listen(
            self.engine, "before_cursor_execute", lambda *args: self.statements.append(args[2])
        )


@pytest.fixture
def database() -> Iterator[Database]:
    database = Database()
    yield database
    database.engine.dispose()


def test_D14_an_object_of_the_orm_is_recorded_as_far_as_it_is_loaded(database: Database) -> None:
    """Relationships, deferred columns and properties would each send a statement, and an autoflush
    of a half-made object would break the user's session.
    """
    with orm.Session(database.engine) as session:
        user = session.scalars(sqlalchemy.select(User)).one()
        order = session.scalars(sqlalchemy.select(Order)).one()
        session.add(Order(item=None))  # to be completed later
        database.statements.clear()
        lazy = "<not loaded>"
        assert recorded(user) == {"id": 1, "name": "Ada", "biography": lazy, "orders": lazy}
        assert recorded(order) == {"id": 1, "item": "tea", "user_id": 1}
        assert recorded({order: [user, {order}]})
        assert database.statements == []
        session.expunge_all()
        assert session.scalar(sqlalchemy.select(sqlalchemy.func.count(User.id))) == 1


def test_loaded_relationships_are_recorded(database: Database) -> None:
    """What the user's query has loaded is there to be read, circles included."""
    with orm.Session(database.engine) as session:
        loaded = sqlalchemy.select(User).options(orm.selectinload(User.orders))
        user = session.scalars(loaded).one()
        database.statements.clear()
        assert recorded(user)["orders"] == [{"id": 1, "item": "tea", "user_id": 1}]
        assert database.statements == []


def test_expired_and_detached_objects_are_recorded_without_a_refresh(database: Database) -> None:
    """After a commit every attribute would be a statement; after the session's end, an error."""
    with orm.Session(database.engine) as session:
        order = session.scalars(sqlalchemy.select(Order)).one()
        session.expire(order)
        database.statements.clear()
        assert recorded(order) == f"<{__name__}.Order object>"
        assert database.statements == []
    assert recorded(order) == f"<{__name__}.Order object>"


def test_objects_that_a_generator_yields_are_not_loaded(database: Database) -> None:
    """A class that declares a field ``type`` looks like a chunk of a model client's stream."""

    class Typed(Base):
        __tablename__ = "typed"
        __table_args__ = {"extend_existing": True}  # noqa: RUF012  as SQLAlchemy wants it
        id: orm.Mapped[int] = orm.mapped_column(primary_key=True)
        type: orm.Mapped[str]

    Base.metadata.create_all(database.engine)
    captured = Captured()
    with orm.Session(database.engine) as session:
        session.add(Typed(id=1, type="a"))
        session.commit()
        row = session.scalars(sqlalchemy.select(Typed)).one()
        session.expire(row)
        database.statements.clear()

        @captured.trace
        def rows() -> Any:
            yield row

        with captured.session():
            assert list(rows()) == [row]
        assert database.statements == []
    assert len(captured.of("event")) == 1


def test_rows_are_recorded_and_results_are_not_consumed(database: Database) -> None:
    """A row holds its values; a result would be empty for the user once it was read."""
    with orm.Session(database.engine) as session:
        query = sqlalchemy.select(User.id, User.name)
        row = session.execute(query).one()
        result = session.execute(query)
        database.statements.clear()
        assert recorded(row) == {"id": 1, "name": "Ada"}
        assert recorded(row._mapping) == {"id": 1, "name": "Ada"}
        str(query)
        for value in (result, query, session, database.engine, session.query(User), User.name):
            assert recorded(value).endswith(" object>")
        assert database.statements == []
        assert result.all() == [(1, "Ada")]


def test_an_error_that_holds_an_object_of_the_orm_does_not_load_it(database: Database) -> None:
    """The message of an exception writes its arguments, whose repr would send a statement."""

    class OrderError(Exception):
        def __str__(self) -> str:
            return f"failed: {self.args[0]}"

    with orm.Session(database.engine) as session:
        order = session.scalars(sqlalchemy.select(Order)).one()
        database.statements.clear()
        captured = Captured()
        with captured.session():
            for kind in (ValueError, KeyError, OrderError):
                with pytest.raises(kind), captured.span():
                    raise kind(order)
        assert database.statements == []
        errors = [event["error"] for event in captured.of("event")]
        assert all("Order object" in error for error in errors)


def test_an_async_session_is_not_used_outside_its_greenlet() -> None:
    """A lazy load in an async session raises MissingGreenlet, and leaves the session unusable."""
    pytest.importorskip("aiosqlite")
    from sqlalchemy.ext import asyncio as asyncio_orm

    async def main() -> None:
        engine = asyncio_orm.create_async_engine("sqlite+aiosqlite://")
        async with engine.begin() as connection:
            await connection.run_sync(Base.metadata.create_all)
        async with asyncio_orm.AsyncSession(engine) as session:
            session.add(User(name="Ada"))
            await session.commit()
            user = (await session.scalars(sqlalchemy.select(User))).one()
            assert recorded(user)["orders"] == "<not loaded>"
            await session.commit()
            assert recorded(user)["name"] == "<not loaded>"
            await session.refresh(user)
            assert user.name == "Ada"
            assert recorded(session).endswith("AsyncSession object>")
        await engine.dispose()

    asyncio.run(main())


def test_a_model_of_sqlmodel_is_recorded_as_far_as_it_is_loaded() -> None:
    """It is a pydantic model and an object of the ORM in one."""
    sqlmodel = pytest.importorskip("sqlmodel")
    registry = orm.registry()

    class Team(sqlmodel.SQLModel, registry=registry):  # type: ignore[call-arg, name-defined, misc]
        name: str

    class Hero(Team, table=True):  # type: ignore[call-arg]
        id: int | None = sqlmodel.Field(default=None, primary_key=True)

    engine = sqlalchemy.create_engine("sqlite://", poolclass=sqlalchemy.pool.StaticPool)
    sqlmodel.SQLModel.metadata.create_all(engine, tables=[Hero.__table__])  # type: ignore[attr-defined]
    registry.metadata.create_all(engine)
    with sqlmodel.Session(engine) as session:
        session.add(Hero(name="Ada"))
        session.commit()
        hero = session.exec(sqlmodel.select(Hero)).one()
        assert recorded(hero) == {"name": "Ada", "id": 1}
        session.expire(hero)
        assert recorded(hero) == {}
    assert recorded(Team(name="x")) == {"name": "x"}
    engine.dispose()


# -- Django --------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def django() -> Any:
    """Django with a table in memory, and models of an application that is not installed."""
    configure_django()
    from django.contrib.auth.models import Group, Permission, User
    from django.contrib.contenttypes.models import ContentType
    from django.db import connection

    with connection.schema_editor() as editor:
        for model in (ContentType, Permission, Group, User):
            editor.create_model(model)
    User.objects.create(username="ada")
    Group.objects.create(name="staff").user_set.add(User.objects.get())
    yield User
    connection.close()


class Statements:
    """Counts the statements that Django sends inside the block."""

    def __enter__(self) -> list[str]:
        from django.db import connection

        self.statements: list[str] = []

        def count(execute: Any, sql: str, *arguments: Any) -> Any:
            self.statements.append(sql)
            return execute(sql, *arguments)

        self.wrapper = connection.execute_wrapper(count)
        self.wrapper.__enter__()
        return self.statements

    def __exit__(self, *exc: object) -> None:
        self.wrapper.__exit__(*exc)


@pytest.mark.filterwarnings("ignore")
def test_a_query_set_is_named_and_not_evaluated(django: Any) -> None:
    """Its repr, length, truth and iteration each fetch rows; so do managers and lazy users."""
    from django.utils.functional import SimpleLazyObject, lazy

    users = django.objects.all()
    lazy_user = SimpleLazyObject(lambda: django.objects.get())
    lazy_count = lazy(lambda: str(django.objects.count()), str)()
    user = django.objects.get()
    partial = django.objects.only("username").get()
    with Statements() as statements:
        assert recorded(users) == "<django.db.models.query.QuerySet object>"
        assert "SimpleLazyObject" in recorded(lazy_user)
        assert recorded(lazy_count)
        assert recorded([users.values(), users.iterator(), users.raw("select 1"), user.groups])
        assert recorded(user)["username"] == "ada"
        assert "groups" not in recorded(user)
        assert recorded(partial) == {"id": 1, "username": "ada"}
        captured = Captured()
        with captured.session(), pytest.raises(ValueError), captured.span():
            raise ValueError(users, lazy_user)
    assert statements == []
    assert users._result_cache is None


@pytest.mark.filterwarnings("ignore")
def test_in_async_code_no_value_of_django_raises(django: Any) -> None:
    """There every statement raises SynchronousOnlyOperation, which must not happen, nor be seen."""
    user = django.objects.get()

    async def main() -> None:
        assert recorded(django.objects.all()) == "<django.db.models.query.QuerySet object>"
        assert recorded(user)["username"] == "ada"

    asyncio.run(main())


@pytest.mark.filterwarnings("ignore")
def test_a_request_of_django_is_named_and_its_body_is_not_read(django: Any) -> None:
    """A view's first argument: its body may be a stream, its user and session are lazy."""
    from django.test import RequestFactory
    from django.utils.translation import gettext_lazy

    request = RequestFactory().post("/", {"a": 1})
    assert "WSGIRequest" in recorded(request)
    assert request.read()
    assert recorded(gettext_lazy("Hello")) == "Hello"


# -- peewee and mongoengine ----------------------------------------------------------------------


def test_a_model_of_peewee_is_recorded_as_far_as_it_is_loaded() -> None:
    """A foreign key is its id, and a query is named: to read either would send a statement."""
    peewee = pytest.importorskip("peewee")
    database = peewee.SqliteDatabase(":memory:")

    class Author(peewee.Model):  # type: ignore[misc, name-defined]
        name = peewee.CharField()

    class Page(peewee.Model):  # type: ignore[misc, name-defined]
        title = peewee.TextField()
        author = peewee.ForeignKeyField(Author, backref="pages")

    statements: list[str] = []
    with database.bind_ctx([Author, Page]):
        database.create_tables([Author, Page])
        Page.create(title="t", author=Author.create(name="Ada"))
        page = Page.get()
        execute = database.execute_sql
        database.execute_sql = lambda *args: statements.append(args[0]) or execute(*args)
        assert recorded(page) == {"id": 1, "title": "t", "author": 1}
        assert recorded([page, {"pages": Page.select()}])[1]["pages"].endswith(" object>")
        assert recorded(Author(name="Bob").pages).endswith(" object>")
    database.close()
    assert statements == []


def test_a_document_of_mongoengine_is_recorded_as_far_as_it_is_loaded() -> None:
    """Neither a query set nor a reference is asked for: there is no connection at all."""
    mongoengine = pytest.importorskip("mongoengine")

    class Author(mongoengine.Document):  # type: ignore[misc, name-defined]
        name = mongoengine.StringField()

    class Page(mongoengine.Document):  # type: ignore[misc, name-defined]
        title = mongoengine.StringField()
        tags = mongoengine.ListField(mongoengine.StringField())
        author = mongoengine.LazyReferenceField(Author)

    page = Page(title="t", tags=["a", "b"])
    answer = recorded(page)
    assert (answer["title"], answer["tags"], answer["author"]) == ("t", ["a", "b"], None)
    assert "Field object" in recorded(Page.title)


# -- proxies and mocks ---------------------------------------------------------------------------


def test_a_proxy_is_named_and_not_resolved() -> None:
    """Whatever is asked of a lazy proxy makes it load its object; an unbound one raises."""
    lazy_object_proxy = pytest.importorskip("lazy_object_proxy")
    local = pytest.importorskip("werkzeug.local")
    from contextvars import ContextVar

    loads: list[int] = []
    proxy = lazy_object_proxy.Proxy(lambda: loads.append(1) or {"a": 1})
    assert "Proxy" in recorded(proxy)
    assert "Proxy" in str(recorded({"inside": [proxy]}))
    variable: ContextVar[Any] = ContextVar("variable")
    unbound = local.LocalProxy(variable)
    assert "LocalProxy" in recorded(unbound)
    variable.set({"a": 1})
    assert "LocalProxy" in recorded(unbound)
    calling = local.LocalProxy(lambda: loads.append(1))
    assert "LocalProxy" in recorded(calling)
    assert loads == []


@pytest.mark.parametrize("kind", [mock.Mock, mock.MagicMock, mock.AsyncMock, mock.NonCallableMock])
def test_a_mock_sees_no_call(kind: Any) -> None:
    """Tests of users assert on the calls of their mocks."""
    double = kind()
    assert "Mock" in recorded(double)
    assert "Mock" in str(recorded([double, {"a": double}, kind(spec=dict), kind(spec=[])]))
    assert double.mock_calls == []
    assert double._mock_children == {}


# -- data frames and models ----------------------------------------------------------------------


def test_small_frames_are_rows_and_large_ones_shape_and_head() -> None:
    """A data frame is what an agent for data works on; its text is neither whole nor short."""
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame({"a": [1, 2], "b": ["x", None]})
    assert recorded(frame) == [{"a": 1, "b": "x"}, {"a": 2, "b": None}]
    assert recorded(frame["a"]) == [1, 2]
    assert recorded(pandas.DataFrame({"a": [1]}, index=["x"])) == [{"index": "x", "a": 1}]
    assert recorded(pandas.Series([1.5], index=["x"])) == {"x": 1.5}
    large = recorded(pandas.DataFrame({"a": range(100_000)}))
    assert large["shape"] == [100_000, 1]
    assert large["columns"] == ["a"]
    assert large["head"] == [{"a": number} for number in range(5)]
    assert recorded(pandas.DataFrame([[1, 2]], columns=["a", "a"])) == [{"a": 1, "a~1": 2}]


def test_a_lazy_frame_is_named_and_not_collected() -> None:
    """To collect it runs the whole query, on files or over the network."""
    polars = pytest.importorskip("polars")
    frame = polars.DataFrame({"a": [1, 2]})
    assert recorded(frame) == [{"a": 1}, {"a": 2}]
    assert recorded(frame["a"]) == [1, 2]
    runs: list[int] = []
    lazy = frame.lazy().map_batches(lambda batch: runs.append(1) or batch)
    assert recorded(lazy) == "<polars.lazyframe.frame.LazyFrame object>"
    assert runs == []
    large = recorded(polars.DataFrame({"a": range(100_000)}))
    assert large["shape"] == [100_000, 1]
    assert large["head"] == [{"a": number} for number in range(5)]


def test_a_struct_of_msgspec_is_recorded_by_its_fields() -> None:
    """Its fields are slots."""
    msgspec = pytest.importorskip("msgspec")
    point = msgspec.defstruct("Point", [("x", int), ("y", object)])
    assert recorded(point(1, point(2, None))) == {"x": 1, "y": {"x": 2, "y": None}}


def test_a_deprecated_field_of_pydantic_warns_only_its_own_user() -> None:
    """The warning points at the user's code, which has not touched the field."""
    pydantic = pytest.importorskip("pydantic")

    class Model(pydantic.BaseModel):  # type: ignore[misc, name-defined]
        old: int = pydantic.Field(default=1, deprecated=True)
        _private: int = pydantic.PrivateAttr(default=2)

        @pydantic.computed_field  # type: ignore[prop-decorator]
        @property
        def computed(self) -> int:
            raise AssertionError("computed")

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert recorded(Model()) == {"old": 1}


# -- clients and resources -----------------------------------------------------------------------


def test_clients_are_named_and_their_streams_are_not_read() -> None:
    """A response that was streamed is the user's to read."""
    httpx = pytest.importorskip("httpx")
    response = httpx.Response(200, stream=httpx.ByteStream(b"body"))
    assert recorded(response) == "<Response [200 OK]>"
    assert response.read() == b"body"
    with httpx.Client() as client:
        assert recorded(client) == "<httpx.Client object>"
    boto3 = pytest.importorskip("boto3")
    client = boto3.client(
        "s3", region_name="eu-west-1", aws_access_key_id="a", aws_secret_access_key="hunter2"
    )
    assert "S3 object" in recorded(client)
    assert "hunter2" not in str(recorded({"client": client, "session": boto3.Session()}))


def test_resources_of_the_standard_library_are_named(tmp_path: Any) -> None:
    """An open file is not read, a socket not asked for its peer, a lock not taken."""
    path = tmp_path / "file"
    path.write_text("line\n")
    with path.open() as file, socket.socket() as connection:
        for value in (file, connection, threading.Lock(), threading.current_thread()):
            assert recorded(value).startswith("<")
        assert file.read() == "line\n"
