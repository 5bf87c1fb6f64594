"""Batches: the results, and what an answer has room for."""

import json
from typing import Any

import msgspec
import pytest

from handler import batch
from handler.errors import BatchFailed
from handler.operations import BatchBody
from handler.store.memory.engine import MemoryStore

MEBIBYTE = 1024 * 1024
LARGE = msgspec.Raw(b'"' + b"x" * 390_000 + b'"')


def _body(*operations: dict[str, Any], atomic: bool = False) -> BatchBody:
    text = json.dumps({"operations": operations, "atomic": atomic})
    return msgspec.json.decode(text, type=BatchBody)


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore(64 * MEBIBYTE)


def test_each_operation_has_a_result(store: MemoryStore) -> None:
    results = batch.run(
        _body(
            {"op": "set", "key": "a", "value": 1},
            {"op": "get", "key": "b"},
            {"op": "put", "key": "b", "value": 1, "create": True},
            {"op": "put", "key": "b", "value": 1, "create": True},
            {"op": "del", "key": "a"},
        ),
        store,
    )

    assert [201, 404, 201, 200, 204] == [result.status for result in results]


def test_records_fill_the_answer_and_those_that_do_not_fit_say_so(store: MemoryStore) -> None:
    store.set("large", LARGE)

    results = batch.run(_body(*[{"op": "get", "key": "large"}] * 15), store)

    assert [200] * 10 + [413] * 5 == [result.status for result in results]
    assert len(msgspec.json.encode(results)) < 4 * MEBIBYTE


def test_a_small_record_after_a_large_one_still_fits(store: MemoryStore) -> None:
    store.set("large", LARGE)
    store.set("small", msgspec.Raw(b"1"))

    gets = [{"op": "get", "key": "large"}] * 12 + [{"op": "get", "key": "small"}]
    results = batch.run(_body(*gets), store)

    assert [413, 413, 200] == [result.status for result in results[-3:]]


@pytest.mark.parametrize(
    "operation", [{"op": "get"}, {"op": "put", "value": 1, "create": True}, {"op": "subs"}]
)
def test_results_without_a_value_take_room_too(
    store: MemoryStore, operation: dict[str, Any]
) -> None:
    # Private-use characters: an error's message shows each as six.
    others = [{**operation, "key": f"{n:03}/" + "\ue000" * 340} for n in range(985)]
    store.set("large", LARGE)

    results = batch.run(_body(*[{"op": "get", "key": "large"}] * 15, *others), store)

    assert 1000 == len(results)
    assert len(msgspec.json.encode(results)) < 4.2 * MEBIBYTE


def test_an_atomic_batch_that_cannot_be_says_which_operation_and_why(store: MemoryStore) -> None:
    body = _body(
        {"op": "set", "key": "a", "value": 1},
        {"op": "get", "key": "missing"},
        {"op": "set", "key": "b", "value": 1},
        atomic=True,
    )

    with pytest.raises(BatchFailed, match=r"operation 1 .*missing") as failure:
        batch.run(body, store)

    errors = [result.error for result in failure.value.results]
    assert ["BatchFailed", "KeyNotFound", "BatchFailed"] == errors
    assert 0 == store.status().keys


def test_an_atomic_batch_whose_last_operation_answers_is_done(store: MemoryStore) -> None:
    body = _body({"op": "set", "key": "a", "value": 1}, {"op": "del", "key": "a"}, atomic=True)

    assert [201, 204] == [result.status for result in batch.run(body, store)]
