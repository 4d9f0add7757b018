"""A known secret is found however it is spelt, and nothing else is hidden."""

from __future__ import annotations

import base64
import html
import json
import random
import re
import tracemalloc
from collections.abc import Callable
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.masking import MASK, Mask

SECRET = 'p"ä ss/w\nord+%41&<é\\😀'


def lower(escaped: str) -> str:
    return re.sub(r"%..|\\u....", lambda found: found[0].lower(), escaped)


def upper(escaped: str) -> str:
    return re.sub(r"\\u....", lambda found: "\\u" + found[0][2:].upper(), escaped)


def inner(text: str) -> str:
    return json.dumps(text)[1:-1]


SPELLINGS = {
    "as it is": SECRET,
    "in a link": quote(SECRET, safe=""),
    "in a link, in small letters": lower(quote(SECRET, safe="")),
    "in a path": quote(SECRET),
    "in a form": quote_plus(SECRET),
    "in a form, in small letters": lower(quote_plus(SECRET)),
    "in a link in a link": quote(lower(quote(SECRET, safe="")), safe=""),
    "every byte in a link": "".join(f"%{byte:02x}" for byte in SECRET.encode()),
    "in JSON": inner(SECRET),
    "in JSON, in capitals": upper(inner(SECRET)),
    "in JSON in JSON": inner(inner(SECRET)),
    "in JSON in JSON in JSON": inner(inner(inner(SECRET))),
    "in JSON, as it is": json.dumps(SECRET, ensure_ascii=False)[1:-1],
    "in JSON of PHP": inner(SECRET).replace("/", "\\/"),
    "every letter in JSON": "".join(f"\\u{ord(letter):04X}" for letter in SECRET[:-1]) + inner("😀"),
    "in a link in JSON": inner(quote(SECRET, safe="")),
    "JSON in a link": quote(inner(SECRET), safe=""),
    "in a repr": repr(SECRET)[1:-1],
    "in a page": html.escape(SECRET),
    "in a page, by numbers": "".join(f"&#{ord(letter)};" for letter in SECRET),
    "in a page, by hexadecimal numbers": "".join(f"&#X{ord(letter):x};" for letter in SECRET),
    "in a form in a link in a link": quote(quote(quote_plus(SECRET), safe=""), safe=""),
    "in a page in JSON": inner(html.escape(SECRET)),
    "in a page, by long numbers": "".join(f"&#{ord(letter):09d};" for letter in SECRET),
    "in a page, by long hexadecimal numbers": "".join(f"&#x{ord(letter):08x};" for letter in SECRET),
    "in a page, by numbers without an end": "".join(f"&#{ord(letter):07d}" for letter in SECRET),
    "in JavaScript": "".join(f"\\u{{{ord(letter):X}}}" for letter in SECRET),
    "in JavaScript, by long numbers": "".join(f"\\u{{{ord(letter):08x}}}" for letter in SECRET),
    "in octal": "".join(f"\\{ord(letter):03o}" if letter.isascii() else inner(letter) for letter in SECRET),
    "in a link of ASP's": "".join(f"%u{ord(letter):04x}" if letter < "\uffff" else quote(letter) for letter in SECRET),
}


@pytest.mark.parametrize("spelt", SPELLINGS.values(), ids=SPELLINGS)
def test_a_secret_is_masked_however_it_is_spelt(spelt: str) -> None:
    mask = Mask([SECRET])
    assert mask.apply(f"Bearer [{spelt}] is no good, [{spelt}]") == f"Bearer [{MASK}] is no good, [{MASK}]"
    assert mask.apply_bytes(f"ż [{spelt}]".encode() + b"\xff") == b"\xc5\xbc [***]\xff"


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-32-le", "utf-32-be"])
@pytest.mark.parametrize("text", ["{}", "Bearer {} is no good", '{{"token": "{}"}}'])
def test_a_secret_in_wide_letters_is_masked(encoding: str, text: str) -> None:
    masked = Mask(["shpat_0123+/="]).apply_bytes(text.format("shpat_0123+/=").encode(encoding))
    assert MASK.encode() in masked
    assert b"pat" not in masked.replace(b"\0", b"")


@pytest.mark.parametrize("encode", [base64.b64encode, base64.urlsafe_b64encode])
@pytest.mark.parametrize("user", ["", "u", "us", "use", "user:"])
@pytest.mark.parametrize("more", ["", "x", ":y"])
@pytest.mark.parametrize("is_padded", [False, True])
def test_base64_is_masked_whatever_stands_around_the_secret(
    encode: Callable[[bytes], bytes],
    user: str,
    more: str,
    is_padded: bool,
) -> None:
    spelt = encode(f"{user}{SECRET}{more}".encode()).decode()
    reported = spelt if is_padded else spelt.rstrip("=")
    mask = Mask([SECRET])
    assert mask.apply(f'"Authorization": "Basic {reported}"') == f'"Authorization": "Basic {MASK}"'
    # 20 may be base64 as well
    assert mask.apply(f"Basic%20{quote(reported, safe='')}%2C") in (f"Basic%20{MASK}%2C", f"Basic%{MASK}%2C")


def test_what_is_no_secret_stays_as_it_is() -> None:
    mask = Mask([SECRET, "abc"])
    for text in ("", "abc", "100 % of \\u0142 &amp; +48 22", inner("ł\n"), SECRET[:-1], "cCLDpCBz"):
        assert mask.apply(text) is text
    assert Mask().apply(SECRET) == SECRET


def test_the_longer_of_two_secrets_is_masked_whole() -> None:
    mask = Mask(["secret"])
    mask.add(["secret-and-more", "abc"])
    assert mask.apply("secret secret-and-more abc") == "*** *** abc"


def test_secrets_that_overlap_are_masked_together() -> None:
    assert Mask(["abcdef", "defghi"]).apply("x abcdefghi x abcdef%64efghi x") == "x *** x ****** x"


def test_blanks_around_a_secret_are_none_of_it() -> None:
    assert Mask([" secret \n"]).apply("a secret b") == "a *** b"


def test_a_text_that_is_nothing_but_escapes_ends() -> None:
    mask = Mask(["secret-1"])
    for piece in ("\\", "%25", "&amp;", "\\u005c", "%5c%25"):
        assert mask.apply(piece * 3000) == piece * 3000
        assert mask.apply(f"{piece * 3000} secret-1") == f"{piece * 3000} ***"


@given(
    secret=st.text(st.characters(codec="utf-8"), min_size=6, max_size=30).filter(lambda text: text == text.strip()),
    around=st.lists(
        st.text(st.characters(codec="utf-8", exclude_characters="\\%&+"), max_size=10), min_size=2, max_size=2
    ),
    layers=st.lists(st.sampled_from((lambda text: quote(text, safe=""), quote_plus, inner, html.escape)), max_size=3),
)
def test_no_layers_hide_a_secret(secret: str, around: list[str], layers: list) -> None:  # type: ignore[type-arg]
    spelt = secret
    for layer in layers:
        spelt = layer(spelt)
    masked = Mask([secret]).apply(f"{around[0]} {spelt} {around[1]}")
    assert MASK in masked
    assert secret in f"{around[0]} {around[1]}" or spelt not in masked.replace(MASK, "")


@pytest.mark.parametrize("secrets", [1, 2000])
def test_a_large_text_costs_no_multiple_of_its_size(secrets: int) -> None:
    """A text that is not a text has as many different parts as characters."""
    mask = Mask([f"tok-{number:05}-3cr3t" for number in range(secrets)])
    raw = random.Random(1).randbytes(2**19) + b" tok-00000-3cr3t"
    tracemalloc.start()
    try:
        masked = mask.apply_bytes(raw)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert masked.endswith(b" ***")
    assert peak < 48 * len(raw)
