"""What holds where many environments write at once: on ministack, whose writes are atomic."""

from collections.abc import Callable, Iterator
from concurrent.futures import Executor, ProcessPoolExecutor
from contextlib import suppress
from functools import partial
from multiprocessing import get_context

import msgspec
import pytest

from handler.errors import EngineUnavailable, KVError
from handler.operations import Incr
from handler.store.dynamodb.engine import DynamoStore
from handler.store.dynamodb.table import Table
from tests import dynamodb

ENVIRONMENTS = 16
ONE = msgspec.Raw(b"1")


@pytest.fixture(scope="module")
def ministack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    if not dynamodb.MINISTACK.exists():
        pytest.skip("ministack is not installed; bash build.sh test installs it")
    with dynamodb.ministack(tmp_path_factory.mktemp("ministack")) as url:
        yield url


@pytest.fixture(scope="module")
def name(ministack: str) -> Iterator[str]:
    """Make a table and return its name."""
    with pytest.MonkeyPatch.context() as patch:
        for variable, text in {**dynamodb.CREDENTIALS, "AWS_ENDPOINT_URL": ministack}.items():
            patch.setenv(variable, text)
        yield dynamodb.make_table()


@pytest.fixture(scope="module")
def environments(name: str) -> Iterator[Executor]:
    """Start sixteen processes that have the table open."""
    context = get_context("forkserver")
    context.set_forkserver_preload(["handler.store.dynamodb.engine", "tests.dynamodb"])
    with ProcessPoolExecutor(ENVIRONMENTS, context, initializer=_open, initargs=(name,)) as pool:
        yield pool


@pytest.fixture
def store(name: str) -> DynamoStore:
    return DynamoStore(Table(name, dynamodb.REGION))


_own: DynamoStore


def _open(name: str) -> None:
    global _own  # noqa: PLW0603 (each process has one)
    _own = DynamoStore(Table(name, dynamodb.REGION))


def increment(key: str, times: int, _: int) -> list[int]:
    return [_own.increment(key, 1).version for _ in range(times)]


def increment_in_batches(key: str, times: int, _: int) -> int:
    """Return how many atomic batches went through."""
    done = 0
    for _ in range(times):
        with suppress(EngineUnavailable):
            _own.batch([Incr(f"{key}-a"), Incr(f"{key}-b")], atomic=True)
            done += 1
    return done


def set_once(key: str, number: int) -> int | None:
    return _won(lambda: _own.set(key, msgspec.Raw(b"%d" % number)), number)


def put_once(key: str, etag: str, number: int) -> int | None:
    return _won(lambda: _own.put(key, msgspec.Raw(b"%d" % number), if_match=(etag,)), number)


def delete_once(key: str, number: int) -> int | None:
    return _won(lambda: _own.delete(key), number)


def put_with_create(key: str, number: int) -> int:
    return _own.put(key, msgspec.Raw(b"%d" % number), create=True).version


def _won(verb: Callable[[], object], number: int) -> int | None:
    try:
        verb()
    except KVError:
        return None
    return number


def test_increments_of_16_environments_lose_nothing_and_skip_no_version(
    environments: Executor, store: DynamoStore
) -> None:
    versions = environments.map(partial(increment, "counter", 20), range(ENVIRONMENTS))

    assert list(range(1, 321)) == sorted(version for some in versions for version in some)
    assert b"320" == bytes(store.get("counter").value)


def test_a_race_of_sets_has_one_winner(environments: Executor, store: DynamoStore) -> None:
    for race in range(5):
        key = f"set-{race}"
        results = environments.map(partial(set_once, key), range(ENVIRONMENTS))
        (winner,) = [number for number in results if number is not None]

        assert (1, b"%d" % winner) == (store.get(key).version, bytes(store.get(key).value))


def test_a_race_of_sets_on_a_deleted_key_has_one_winner(
    environments: Executor, store: DynamoStore
) -> None:
    store.set("again", ONE)
    store.delete("again")

    results = environments.map(partial(set_once, "again"), range(ENVIRONMENTS))

    (winner,) = [number for number in results if number is not None]
    assert b"%d" % winner == bytes(store.get("again").value)


def test_a_race_of_puts_with_if_match_has_one_winner(
    environments: Executor, store: DynamoStore
) -> None:
    for race in range(5):
        key = f"put-{race}"
        etag = store.set(key, ONE).etag
        results = environments.map(partial(put_once, key, etag), range(ENVIRONMENTS))
        (winner,) = [number for number in results if number is not None]

        assert (2, b"%d" % winner) == (store.get(key).version, bytes(store.get(key).value))


def test_a_race_of_deletes_has_one_winner(environments: Executor, store: DynamoStore) -> None:
    store.set("gone", ONE)

    results = environments.map(partial(delete_once, "gone"), range(ENVIRONMENTS))

    assert 1 == sum(number is not None for number in results)


def test_puts_with_create_at_once_make_one_record_and_change_it(environments: Executor) -> None:
    versions = environments.map(partial(put_with_create, "made"), range(ENVIRONMENTS))

    assert list(range(1, ENVIRONMENTS + 1)) == sorted(versions)


def test_atomic_batches_of_16_environments_are_done_whole_or_not(
    environments: Executor, store: DynamoStore
) -> None:
    done = sum(environments.map(partial(increment_in_batches, "pair", 3), range(ENVIRONMENTS)))

    assert done
    assert [b"%d" % done] * 2 == [bytes(store.get(f"pair-{half}").value) for half in "ab"]
