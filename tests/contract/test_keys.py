"""Keys: those that are fine come through every way unchanged, the rest are refused by name."""

import re
from urllib.parse import quote

import pytest

from tests.contract.store import Store, error

GOOD = [
    "a/b/c",
    "with space",
    "two  spaces",
    "a+b",
    'say "hi"',
    "<b>&amp;</b>",
    "a&b=c;d",
    "~tilde",
    "it's",
    "(a)*[b]{c}|^`$@!,:",
    "...",
    ".a/a./..a/b..",
    "-",
    "keys/subscriptions",
    "ключ/鍵/مفتاح/कुंजी",
    "🗝️/👩‍👩‍👧‍👦",
    "caf\u00e9",
    "cafe\u0301",
    "a\u00a0b\u2028c\u200bd",
    "\ufffd\ufeff\U0010ffff\ue000\uffff",
]
# The value of each is a word of the message that says which rule was broken.
FORBIDDEN = [
    pytest.param(
        "%", "%", marks=pytest.mark.gap("sam_start_api", "SAM decodes the path once more")
    ),
    ("?", r"\?"),
    ("#", "#"),
    ("\\", r"\\"),
]
CONTROLS = [chr(code) for code in (*range(0x20), *range(0x7F, 0xA0))]
SPACES = [" ", "\u00a0", "\u1680", "\u2003", "\u2028", "\u2029", "\u202f", "\u205f", "\u3000"]
SEGMENTS = [
    "/{}",
    "{}/",
    "{}//b",
    ".",
    "..",
    "{}/.",
    "{}/..",
    "./{}",
    "../{}",
    "{}/./b",
    "{}/../b",
    "/",
]


@pytest.mark.parametrize("name", GOOD)
def test_a_key_comes_through_body_and_path(store: Store, key: str, name: str) -> None:
    name = f"{key}/{name}"

    made = store.set(name)

    assert (201, name) == (made.status_code, made.json()["key"])
    assert name == store.send("GET", made.headers["Location"]).json()["key"]
    assert made.json() == store.get(name).json()
    assert made.json() == store.send("GET", f"/keys/{quote(name, safe='')}").json()
    assert [name] == store.keys(name)
    assert name == store.put(name).json()["key"]
    assert name == store.incr(name).json()["key"]
    assert name == store.subs(name).json()["key"]
    assert 204 == store.unsubs(name).status_code
    assert name == store.batch({"op": "get", "key": name}).json()["results"][0]["record"]["key"]
    assert 204 == store.delete(name).status_code
    assert 404 == store.get(name).status_code


@pytest.mark.parametrize(
    "first", ["+", '"', "<", "&", "=", ";", "~", "'", "🗝", "é", "(", ":", "@", "$", "-"]
)
def test_a_key_may_begin_and_end_with_any_character_that_it_may_hold(
    store: Store, key: str, first: str
) -> None:
    name = f"{first}{key}{first}"
    store.set(name)

    assert name == store.get(name).json()["key"]


def test_characters_that_a_path_may_hold_may_stand_as_they_are(store: Store, key: str) -> None:
    name = f"{key}/a+b&c=d;e~f'g(h)i*j!k$l,m:n@o/p-q_r.s"
    store.set(name)

    assert name == store.send("GET", f"/keys/{name}").json()["key"]


@pytest.mark.gap("memory_stack", "dynamodb_stack", "the emulation signs other spellings of a path")
def test_percent_encoding_is_read_in_either_case(store: Store, key: str) -> None:
    store.set(f"{key}/é")

    assert 200 == store.send("GET", f"/keys/{key}%2f%c3%a9").status_code
    assert 200 == store.send("GET", f"/keys/%{ord(key[0]):x}{key[1:]}%2F%C3%A9").status_code


def test_composed_and_decomposed_accents_are_different_keys(store: Store, key: str) -> None:
    store.set(f"{key}/caf\u00e9", '"composed"')
    store.set(f"{key}/cafe\u0301", '"decomposed"')

    assert "composed" == store.get(f"{key}/caf\u00e9").json()["value"]
    assert "decomposed" == store.get(f"{key}/cafe\u0301").json()["value"]


def test_upper_and_lower_case_are_different_keys(store: Store, key: str) -> None:
    store.set(f"{key}/a")

    assert 404 == store.get(f"{key}/A").status_code


@pytest.mark.parametrize("character", ["x", "é", "鍵", "🗝", '"'])
def test_a_key_has_up_to_1024_bytes_of_utf_8(store: Store, key: str, character: str) -> None:
    room = 1024 - len(f"{key}/")
    count, rest = divmod(room, len(character.encode()))
    name = f"{key}/" + character * count + "x" * rest

    assert 201 == store.set(name).status_code
    assert name == store.get(name).json()["key"]
    assert (400, "InvalidKey") == error(store.set(f"{name}x"))
    assert (400, "InvalidKey") == error(store.get(f"{name}x"))


@pytest.mark.gap("memory_stack", "dynamodb_stack", "the emulation drops a slash at the end")
def test_a_key_has_at_least_one_character(store: Store) -> None:
    assert (400, "InvalidKey") == error(store.set(""))
    for collection in ("keys", "subscriptions", "counters"):
        method = "POST" if collection == "counters" else "DELETE"
        assert (400, "InvalidKey") == error(store.send(method, f"/{collection}/"))


def _assert_refused(store: Store, key: str, rule: str) -> None:
    """Hold every way that a key comes in to the refusal of this one."""
    answers = [
        store.set(key),
        store.get(key),
        store.put(key, query="?create=true"),
        store.delete(key),
        store.subs(key),
        store.unsubs(key),
        store.incr(key),
    ]

    assert [(400, "InvalidKey")] * len(answers) == [error(answer) for answer in answers]
    assert [] == [a.text for a in answers if not re.search(rule, a.json()["message"])]
    [result] = store.batch({"op": "set", "key": key, "value": 1}).json()["results"]
    assert {"status": 400, "error": "InvalidKey", "message": answers[0].json()["message"]} == result


@pytest.mark.parametrize(("character", "rule"), FORBIDDEN)
def test_a_key_with_a_forbidden_character_is_refused(
    store: Store, key: str, character: str, rule: str
) -> None:
    _assert_refused(store, f"{key}{character}", rule)
    _assert_refused(store, f"{key}{character}25", rule)
    _assert_refused(store, f"{character}{key}", rule)


def test_a_key_with_a_control_character_is_refused(store: Store, key: str) -> None:
    operations = [{"op": "get", "key": f"{key}{character}b"} for character in CONTROLS]

    results = store.batch(*operations).json()["results"]

    assert ["InvalidKey"] * len(CONTROLS) == [result["error"] for result in results]
    for character, result in zip(CONTROLS, results, strict=True):
        assert re.search(f"control character.*U\\+{ord(character):04X}", result["message"])


@pytest.mark.parametrize(
    "character",
    [
        *("\x00", "\t", "\r", "\x1f", "\x7f", "\x80", "\x85", "\x9f"),
        pytest.param(
            "\n",
            marks=[
                pytest.mark.gap("sam_start_api", "SAM has no route for it"),
                pytest.mark.gap("memory_stack", "dynamodb_stack", "no policy matches it there"),
            ],
        ),
    ],
    ids=lambda c: f"U+{ord(c):04X}",
)
def test_a_path_with_a_control_character_holds_no_key(
    store: Store, key: str, character: str
) -> None:
    for name in (f"{key}{character}b", f"{key}{character}"):
        answers = [store.set(name), store.get(name)]
        assert [(400, "InvalidKey")] * 2 == [error(answer) for answer in answers]


@pytest.mark.parametrize("space", SPACES, ids=lambda c: f"U+{ord(c):04X}")
def test_a_key_with_white_space_at_an_end_is_refused(store: Store, key: str, space: str) -> None:
    for name in (f"{space}{key}", f"{key}{space}", space):
        answers = [store.set(name), store.get(name)]
        assert [(400, "InvalidKey")] * 2 == [error(answer) for answer in answers]
        assert ["white space"] * 2 == [
            re.findall("white space", answer.json()["message"])[0] for answer in answers
        ]


@pytest.mark.parametrize("form", SEGMENTS)
def test_a_key_with_an_empty_or_a_dot_segment_is_refused(store: Store, key: str, form: str) -> None:
    _assert_refused(store, form.format(key), "segment")


@pytest.mark.parametrize("form", SEGMENTS)
def test_such_a_segment_is_refused_also_where_the_slash_is_encoded(
    store: Store, key: str, form: str
) -> None:
    name = form.format(key)

    encoded = "".join(f"%{byte:02X}" for byte in name.encode())

    assert (400, "InvalidKey") == error(store.send("GET", f"/keys/{encoded}"))


@pytest.mark.parametrize("escape", [r"\ud800", r"\udfff", r"\udc00\ud800", r"a\uDBFFb"])
def test_a_key_with_a_lone_surrogate_is_refused(store: Store, key: str, escape: str) -> None:
    answer = store.send("POST", "/keys", f'{{"key":"{key}{escape}","value":1}}')

    assert (400, "InvalidKey") == error(answer)
    assert "surrogate" in answer.json()["message"]
    body = f'{{"operations":[{{"op":"get","key":"{key}{escape}"}}]}}'
    assert "InvalidKey" == store.send("POST", "/batch", body).json()["results"][0]["error"]


def test_a_pair_of_escaped_surrogates_is_a_character(store: Store, key: str) -> None:
    store.send("POST", "/keys", rf'{{"key":"{key}\ud83d\udddd","value":1}}')

    assert 200 == store.get(f"{key}🗝").status_code


@pytest.mark.gap("sam_start_api", "SAM decodes the path, and replaces what is not UTF-8")
@pytest.mark.gap("memory_stack", "dynamodb_stack", "the emulation replaces what is not UTF-8")
@pytest.mark.parametrize("encoded", ["%FF", "%C3", "%C3%28", "%ED%A0%80", "%C0%AF", "%F4%90%80%80"])
def test_a_path_that_is_not_utf_8_holds_no_key(store: Store, key: str, encoded: str) -> None:
    for target in (f"/keys/{key}{encoded}", f"/keys/{encoded}{key}"):
        assert (400, "InvalidKey") == error(store.send("GET", target))


def test_keys_are_ordered_by_their_utf_8_bytes(store: Store, key: str) -> None:
    names = ["\U00010000", "\ufffd", "a", "a/b", "a b", "a-", "B", "é", "e\u0301", "~", "aa", "鍵"]
    names = [f"{key}/{name}" for name in names]
    store.have(*names)

    assert sorted(names, key=str.encode) == store.keys(key)
