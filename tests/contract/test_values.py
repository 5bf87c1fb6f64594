"""Values: any JSON, back as the text that was sent."""

import json

import pytest

from tests.contract.store import MAX_VALUE_BYTES, Store, error, value_text
from tests.polling import eventually

TEXTS = [
    "null",
    "true",
    "false",
    "0",
    "-0",
    "-0.0",
    "1.10",
    "1E+2",
    "1e-07",
    "1e400",
    "-1e-400",
    "12345678901234567890",
    "123456789012345678901234567890.12345678901234567890",
    "7" * 5000,
    "0." + "3" * 5000,
    '""',
    '" "',
    '"plain"',
    '"\\"\\\\\\/\\b\\f\\n\\r\\t"',
    '"\\u0000\\u001f"',
    '"\\u00e9 \\u00E9 é e\u0301"',
    '"\\ud83d\\udddd 🗝"',
    '"\\ud800"',
    '"\\udc00\\ud800"',
    '{"\\ud800":"\\udfff"}',
    '"\\\\ud800"',
    '"\x7f\x85\u2028\u2029\ufeff\U0010ffff"',
    '"Ελληνικά русский 中文 日本語 한국어 العربية עברית हिन्दी ไทย ქართული አማርኛ"',
    '"</script>&<!--"',
    '"%25 %s {0} ${x}"',
    "[]",
    "{}",
    "[1,2]",
    "[ 1 ,\t2 ,\n\r 3 ]",
    '{ "a" :  [1 , 2]\n}',
    '{"b":1,"a":2}',
    '{"a":1,"a":2}',
    '{"key":"other","value":{"op":"del","key":"x","value":2},"operations":[{"value":3}]}',
    '{"":{"":[[],{},""]}}',
]
NOT_JSON = [
    *("NaN", "Infinity", "-Infinity", "nan", "undefined", "None", "True"),
    *("01", "-01", "+1", ".5", "1.", "1e", "0x10", "1_000", "--1", "-", "٣"),
    *("'a'", '"open', '"\x01"', '"\n"', '"\t"', '"\\x41"', '"\\u12"', '"\\u12g4"', '"\\"'),
    *("[1,]", "[,1]", "[1 2]", "[", "]", "[1}", '{"a":1,}', "{a:1}", '{"a"}', '{"a":}', "{1:2}"),
    *("[NaN]", '{"a":[Infinity]}', "1 // one", "/* */ 1", "1 1", "1\u00a0", "\ufeff1", ""),
    *("[" * 1000, "[" * 100_000, "[" * 1000 + "]" * 999, '{"a":' * 1000 + "NaN" + "}" * 1000),
]
DEEP = {
    "1000 arrays": "[" * 1000 + "]" * 1000,
    "100000 arrays": "[" * 100_000 + "]" * 100_000,
    "1000 objects": '{"a":' * 1000 + "1.10" + "}" * 1000,
    "60000 objects": '{"a":' * 60_000 + "1.10" + "}" * 60_000,
    "both, spaced": '[ {"\\ud800" : ' * 10_000 + "1e400" + " } , 2]" * 10_000,
}


def _short(text: str) -> str:
    return ascii(text)[:30]


@pytest.mark.parametrize("text", [*TEXTS, *DEEP.values()], ids=_short)
def test_a_value_comes_back_as_the_text_that_was_sent(store: Store, key: str, text: str) -> None:
    made = store.set(key, text)
    changed = store.put(key, text)

    assert [201, 200] == [made.status_code, changed.status_code]
    assert [text] * 3 == [value_text(answer) for answer in (made, changed, store.get(key))]
    assert f'"value":{text},"version":2' in store.getall(prefix=key).text


@pytest.mark.parametrize("text", [*TEXTS, *DEEP.values()], ids=_short)
def test_a_value_comes_through_a_batch_unchanged(store: Store, key: str, text: str) -> None:
    operations = [
        f'{{"op":"set","key":"{key}","value":0}}',
        f'{{"value":{text},"op":"put","key":"{key}"}}',
        f'{{"op":"get","key":"{key}"}}',
    ]

    answer = store.send("POST", "/batch", f'{{"operations":[{",".join(operations)}]}}')

    assert f'"value":{text},"version":2' in answer.text
    assert text == value_text(store.get(key))


@pytest.mark.parametrize("text", ["1.10", '"\\ud800"', "[" * 10_000 + "]" * 10_000], ids=_short)
def test_a_value_is_reported_as_the_text_that_was_sent(store: Store, key: str, text: str) -> None:
    store.have(key, subscribed=True)
    cursor = store.now()
    store.put(key, text)

    expected = f'"value":{text},"at":'

    # As text: the standard library reads no value that nests so deeply.
    eventually(lambda: store.changes(since=cursor).text, lambda feed: expected in feed)


@pytest.mark.parametrize("text", NOT_JSON, ids=_short)
def test_what_is_not_json_is_refused(store: Store, key: str, text: str) -> None:
    record = store.set(f"{key}/there").json()
    batch = f'{{"operations":[{{"op":"put","key":"{key}/there","value":{text}}}]}}'

    answers = [
        store.set(key, text),
        store.put(f"{key}/there", text),
        store.put(key, text, query="?create=true"),
        store.send("POST", "/batch", batch),
    ]

    assert [(400, "InvalidRequest")] * 4 == [error(answer) for answer in answers]
    assert record == store.get(f"{key}/there").json()
    assert 404 == store.get(key).status_code


@pytest.mark.parametrize("character", ["x", '\\"', "\\\\", "é", "鍵", "🗝", "\\u0001"])
def test_a_value_has_up_to_384_kib_of_json_text_in_utf_8(
    store: Store, key: str, character: str
) -> None:
    count, rest = divmod(MAX_VALUE_BYTES - 2, len(character.encode()))
    longest = f'"{character * count}{"x" * rest}"'
    too_long = f'"{character * count}{"x" * (rest + 1)}"'
    batch = json.dumps({"operations": [{"op": "set", "key": f"{key}/b", "value": "?"}]})

    assert [201, 200] == [store.set(key, longest).status_code, store.put(key, longest).status_code]
    assert longest == value_text(store.get(key))
    assert (413, "ValueTooLarge") == error(store.set(f"{key}/a", too_long))
    assert (413, "ValueTooLarge") == error(store.put(key, too_long))
    [result] = store.send("POST", "/batch", batch.replace('"?"', too_long)).json()["results"]
    assert (413, "ValueTooLarge") == (result["status"], result["error"])
    assert longest == value_text(store.get(key))


def test_white_space_inside_a_value_counts(store: Store, key: str) -> None:
    longest = "[" + " " * (MAX_VALUE_BYTES - 2) + "]"

    assert 201 == store.set(key, longest).status_code
    assert (413, "ValueTooLarge") == error(store.put(key, f"[ {longest[1:]}"))


def test_white_space_around_a_value_is_not_part_of_it(store: Store, key: str) -> None:
    store.set(key, " \n\t 1.10 \r\n ")

    assert "1.10" == value_text(store.get(key))
