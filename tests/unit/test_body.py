"""Request bodies, and the slow way for what msgspec cannot read."""

import msgspec
import pytest
from msgspec import UNSET

from handler.body import IncrBody, PutBody, SetBody, decode
from handler.errors import InvalidKey, InvalidRequest
from handler.keys import check_key
from handler.operations import BatchBody

SET = msgspec.json.Decoder(SetBody)
PUT = msgspec.json.Decoder(PutBody)
INCR = msgspec.json.Decoder(IncrBody)
BATCH = msgspec.json.Decoder(BatchBody)
DEEP = "[" * 50_000 + "]" * 50_000
SURROGATE = '"\\ud800"'


@pytest.mark.parametrize("value", ["1.10", ' { "a" : 1 }'.strip(), DEEP, SURROGATE, '"\\\\ud800"'])
def test_a_value_is_kept_as_its_text(value: str) -> None:
    body = decode(f'{{ "key":"a", "value": {value} , "ttl":5}}', SET)

    assert ("a", value, 5) == (body.key, bytes(body.value).decode(), body.ttl)


def test_an_absent_time_to_live_is_told_from_null() -> None:
    bodies = [decode('{"value":1}', PUT), decode('{"value":1,"ttl":null}', PUT)]

    assert [UNSET, None] == [body.ttl for body in bodies]


def test_an_increment_is_by_1_unless_told() -> None:
    assert [1, -5] == [decode(text, INCR).by for text in ("{}", '{"by":-5}')]


def test_each_value_of_a_batch_goes_back_to_its_operation() -> None:
    text = ",".join(
        f'{{"op":"{op}","key":"k{number}","value":{value}}}'
        for number, (op, value) in enumerate([("set", DEEP), ("put", "1"), ("set", SURROGATE)])
    )

    operations = decode(f'{{"operations":[{text},{{"op":"get","key":"g"}}]}}', BATCH).operations

    values = [getattr(each, "value", None) for each in operations]
    assert [DEEP, "1", SURROGATE, None] == [v and bytes(v).decode() for v in values]
    assert ["k0", "k1", "k2", "g"] == [operation.key for operation in operations]


def test_values_and_operations_inside_a_value_are_left_alone() -> None:
    value = f'{{"operations":[{{"value":{SURROGATE}}}],"key":{SURROGATE},"value":2}}'

    assert value == bytes(decode(f'{{"key":"a","value":{value}}}', SET).value).decode()


@pytest.mark.parametrize("value", ["1", DEEP, SURROGATE])
def test_a_key_may_be_escaped_whatever_the_value(value: str) -> None:
    assert "😀/é" == decode(f'{{"key":"\\ud83d\\ude00/\\u00e9","value":{value}}}', SET).key


def test_a_lone_surrogate_in_a_key_is_there_to_be_refused_by_its_name() -> None:
    body = decode(f'{{"key":{SURROGATE},"value":1}}', SET)

    with pytest.raises(InvalidKey, match=r"U\+D800"):
        check_key(body.key)


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("", "not JSON"),
        ("{", "not JSON"),
        ('{"key":"a","value":NaN}', "not JSON"),
        ('{"key":"a","value":' + "[" * 5000, "not JSON"),
        ('{"key":"\ud800","value":1}', "not UTF-8"),
        ('{"key":"a"}', "value"),
        ('{"key":1,"value":1}', "key"),
        ('{"key":"a","value":1,"nope":1}', "nope"),
        ('{"key":"a","value":1,"ttl":0}', "ttl"),
        (f'{{"key":"a","value":{SURROGATE},"ttl":0}}', "ttl"),
        (f'{{"key":1,"value":{DEEP}}}', "key"),
        (f'{{"key":"a","value":{DEEP},"nope":1}}', "nope"),
        (f'{{"key":"a","value":1,"nope":{DEEP}}}', "nope"),
        (f"[{DEEP}]", "another body"),
        (SURROGATE, "another body"),
        (f'{{"key":"a","value":1,"ttl":{SURROGATE}}}', "another body"),
        (f'{{"key":"a","value":1,{SURROGATE}:1}}', "another body"),
    ],
)
def test_another_body_is_refused_and_the_message_says_why(text: str, word: str) -> None:
    with pytest.raises(InvalidRequest, match=word):
        decode(text, SET)


@pytest.mark.parametrize("value", ["1", DEEP, SURROGATE])
def test_a_malformed_operation_is_named(value: str) -> None:
    good = f'{{"op":"set","key":"a","value":{value}}}'

    with pytest.raises(InvalidRequest, match=r"operations\[2\]"):
        decode(f'{{"operations":[{good},{good},{{"op":"nope","key":"a"}},{good}]}}', BATCH)
