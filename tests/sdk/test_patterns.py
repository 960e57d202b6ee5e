"""Regular expressions of conditions: Python's `re` as the reference, and texts that must not run away."""

import gc
import random
import re
import sys
import threading
import time
import tracemalloc
import warnings
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from equipoise import _automata
from equipoise._patterns import MAX_LENGTH, MAX_SIZE, PatternError, compile

ALPHABET = "abAB01_- \n.é"
TEXTS = st.text(alphabet=ALPHABET, max_size=12)


def reference(pattern: str, text: str) -> bool:
    """Ask Python: ASCII meaning, and `$` only at the very end."""
    flags = re.ASCII
    if pattern.startswith("(?i)"):
        pattern, flags = pattern.removeprefix("(?i)"), re.ASCII | re.IGNORECASE
    with warnings.catch_warnings():
        warnings.simplefilter(
            "ignore", FutureWarning
        )  # a class such as [a--] may come to mean something else
        return re.search(pattern, text, flags) is not None


def members() -> st.SearchStrategy[str]:
    character = st.sampled_from(["a", "b", "A", "0", "_", r"\-", r"\n", r"\x41", "é", r"\]", r"\^"])
    ranges = st.sampled_from(
        ["a-b", "A-B", "0-1", "A-b", r"\x20-0", r"\d", r"\w", r"\s", r"\D", r"\W", r"\S"]
    )
    return st.lists(character | ranges, min_size=1, max_size=3).map("".join)


def atoms() -> st.SearchStrategy[str]:
    return st.one_of(
        st.sampled_from(
            ["a", "b", "A", "0", " ", "é", ".", r"\.", r"\d", r"\w", r"\s", r"\D", r"\W", r"\S", r"\n"]
        ),
        st.builds("[{}{}]".format, st.sampled_from(["", "^"]), members()),
    )


def joined(parts: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    group = st.builds("({}{})".format, st.sampled_from(["", "?:"]), parts)
    repeated = st.builds(
        "{}{}{}".format,
        atoms() | group,
        st.sampled_from(["*", "+", "?", "{0}", "{2}", "{1,}", "{0,2}", "{2,3}", "{0,}"]),
        st.sampled_from(["", "?"]),
    )
    return st.one_of(
        group,
        repeated,
        st.lists(parts, min_size=2, max_size=3).map("".join),
        st.lists(parts | st.just(""), min_size=2, max_size=3).map("|".join),
    )


PATTERNS = st.builds(
    "{}{}".format,
    st.sampled_from(["", "(?i)"]),
    st.recursive(atoms() | st.sampled_from(["^", r"\Z"]), joined, max_leaves=8),
)


class TestMeaning:
    @given(PATTERNS, st.lists(TEXTS, min_size=1, max_size=4))
    @example("^", [""])
    @example(r"a\Z|b", ["a\n", "ba"])
    @example(r"\Z^", ["", "a"])
    @example(r"^a{2,}b{1,}?c{0,}\Z", ["aab", "ab", "aaabbcc", "aaaaac"])
    @example("(?:)*(a|)*(b?)*c", ["abac", "ab"])
    def test_is_that_of_re(self, pattern: str, texts: list[str]) -> None:
        compiled = compile(pattern.replace(r"\Z", "$"))
        for text in texts:
            assert compiled.search(text) is reference(pattern, text)

    @given(
        st.text(alphabet="ab0-^$.*+?{},123[]()|\\dwWxs:i", max_size=14),
        st.lists(st.text(alphabet="ab0- .$\\{", max_size=8), min_size=1, max_size=4),
    )
    @example("[a-]", ["-"])
    @example("[-a]", ["-"])
    @example("[^-a]", ["-"])
    @example("a{,2}", ["a{,2}"])
    def test_whatever_is_accepted_means_what_it_means_to_re(self, pattern: str, texts: list[str]) -> None:
        try:
            compiled = compile(pattern)
        except PatternError:
            return
        for text in texts:  # without newlines, so that `$` is the same
            assert compiled.search(text) is reference(pattern, text)

    def test_the_end_is_the_very_end(self) -> None:
        assert not compile("a$").search("a\n")
        assert compile("a\n$").search("a\n")

    def test_categories_are_ascii(self) -> None:
        assert not compile(r"\d").search("٣")
        assert not compile(r"\w").search("é")
        assert not compile(r"\s").search("\u00a0")
        for category in "dws":
            assert {chr(code) for code in range(256) if compile(f"\\{category}").search(chr(code))} == {
                chr(code) for code in range(256) if re.search(f"\\{category}", chr(code), re.ASCII)
            }
            for code in (0, 0x10FFFF, 0xD800):
                assert compile(f"\\{category.upper()}").search(chr(code))

    def test_length_is_counted_in_characters(self) -> None:
        assert compile("^.{3}$").search("é😀\ud800")


class TestCase:
    @pytest.mark.parametrize(
        ("pattern", "text"),
        [
            ("münchen", "MÜNCHEN"),
            ("MÜNCHEN", "münchen"),
            ("σίσυφος", "ΣΊΣΥΦΟΣ"),
            ("ς", "σ"),
            ("k", "\u212a"),
            ("\u212a", "K"),
            ("ſ", "S"),
            ("ß", "ẞ"),
            ("ẞ", "ß"),
            ("[à-ý]", "É"),
            ("[À-Ý]", "é"),
            ("µ", "Μ"),
            ("ǆ", "ǅ"),
        ],
    )
    def test_letters_meet_by_simple_folding(self, pattern: str, text: str) -> None:
        assert compile(f"(?i)^{pattern}$").search(text)
        assert not compile(f"^{pattern}$").search(text)
        if pattern[0] != "[":
            assert not compile(f"(?i)^[^{pattern[0]}]").search(text)

    @pytest.mark.parametrize(
        ("pattern", "text"), [("ß", "ss"), ("i", "İ"), ("ı", "i"), (r"\w", "\u212a"), ("ﬁ", "fi")]
    )
    def test_nothing_more_meets(self, pattern: str, text: str) -> None:
        assert not compile(f"(?i)^{pattern}$").search(text)

    def test_every_character_meets_the_forms_that_it_meets_in_re(self) -> None:
        """Python's own table of equivalent characters is an independent one."""
        met = 0
        for code in set(range(sys.maxunicode + 1)) - {ord("ı")}:  # ı is i to `re`, in Unicode only in Turkish
            character = chr(code)
            for other in {character.lower(), character.upper(), character.casefold()} - {character}:
                folds = (
                    len(other) == 1 and re.fullmatch(re.escape(character), other, re.IGNORECASE) is not None
                )
                assert compile(f"(?i)^{character}$").search(other) is folds, (character, other)
                met += folds
        assert met > 2_700

    def test_a_dotless_i_is_no_i(self) -> None:
        assert not compile("(?i)[A-Zi]").search("ı")
        assert not compile("(?i)ı").search("iI")


class TestRefusal:
    @pytest.mark.parametrize(
        ("pattern", "reason"),
        [
            ("(a", "not closed (at character 1 of '(a')"),
            ("a)", "closes no group (at character 2"),
            ("a(?=b)", "look-around assertions are not supported (at character 2"),
            ("(?<!b)a", "look-around"),
            ("(?P<year>a)", "only (?:…) is supported"),
            ("(?", "only (?:…) is supported"),
            ("a(?i)b", "at the start of a pattern only (at character 2"),
            (r"(a)\1", "back-references are not supported (at character 4"),
            (r"\bword", r"\b is not supported"),
            (r"a\Z", r"\Z is not supported"),
            (r"[\B]", r"\B is not supported (at character 2"),
            ("\\", "ends with a backslash; write \\\\ for"),
            (r"\x4", "two hexadecimal digits"),
            (r"\xZZ", "two hexadecimal digits"),
            ("*a", "nothing that * could repeat; write \\* for itself"),
            ("a|+", "nothing that + could repeat"),
            ("(?:?)", "nothing that ? could repeat"),
            ("^*", "nothing that * could repeat"),
            ("a**", "cannot be repeated; put it in a group (at character 3"),
            ("a++", "cannot be repeated"),
            ("a{2}{3}", "cannot be repeated"),
            ("a{2", "expected {m}, {m,} or {m,n}; write \\{"),
            ("a{}", "expected {m}"),
            ("a{,2}", "expected {m}"),
            ("a{1, 2}", "expected {m}"),
            ("a{²}", "expected {m}"),
            ("a{1001}", "at most 1,000"),
            ("a{0,1001}", "at most 1,000"),
            ("a{3,2}", "larger than its second"),
            ("{", "nothing that { could repeat; write \\{"),
            ("}", "write \\} for a }"),
            ("]", "write \\] for a ]"),
            ("[", "class is not closed (at character 1"),
            ("[a", "class is not closed (at character 1"),
            ("[a-", "class is not closed (at character 1"),
            ("[]", "write \\] for a ]"),
            ("[^]", "write \\] for a ]"),
            ("[[:alpha:]]", "write \\[ for a ["),
            ("[a-b-c]", "write \\- for a - that stands for itself (at character 5"),
            (r"[\w-a]", "write \\- for a -"),
            ("[b-a]", "the range b-a is empty"),
            (r"[a-\d]", "a range ends with one character (at character 4"),
            ("a" * (MAX_LENGTH + 1), "has 257 characters; at most 256"),
            ("((a{100}){100}){100}", "more than 2,000 instructions"),
            ("(a{0,999}){3}", "more than 2,000 instructions"),
            ("(" + "a{999}|" * 3 + ")", "more than 2,000 instructions"),
            ("a{1000}" * 3, "more than 2,000 instructions"),
        ],
    )
    def test_says_what_is_wrong_and_where(self, pattern: str, reason: str) -> None:
        with pytest.raises(PatternError, match=re.escape(reason)):
            compile(pattern)

    def test_the_largest_that_is_accepted(self) -> None:
        assert compile("a" * MAX_LENGTH).search("a" * MAX_LENGTH)
        assert compile("a{1000}" * 2).search("a" * MAX_SIZE)
        assert not compile("a{1000}" * 2).search("a" * (MAX_SIZE - 1))
        assert compile("(" * 128 + ")" * 128).search("")
        assert compile("((){1000}){1000}").search("")

    @given(st.text(max_size=20))
    def test_is_the_only_error(self, pattern: str) -> None:
        try:
            compile(pattern).search(pattern)
        except PatternError:
            return


class TestTime:
    """What takes a backtracking engine longer than the universe has lasted."""

    LENGTH = 100_000

    @pytest.mark.parametrize(
        ("pattern", "unit"),
        [
            ("(a+)+b", "a"),
            ("(a|a)*b", "a"),
            ("(a*)*$b", "a"),
            ("(((a*)*)*)*b", "a"),
            ("^(a?){50}a{50}b", "a"),
            ("(.*)(.*)(.*)(.*)c", "ab"),
            (r"(\w+\s?)*!", "word "),
        ],
    )
    def test_is_linear(self, pattern: str, unit: str) -> None:
        text = (unit * self.LENGTH)[: self.LENGTH]
        begin = time.perf_counter()
        assert not compile(pattern).search(text)
        assert time.perf_counter() - begin < 5  # 0.01 s on an idle core

    @pytest.mark.parametrize(
        ("pattern", "end"), [("(a|b)*a(a|b){12}c", "abaabbaabbaabc"), ("a.{900}c|b.{900}d", "b" * 901 + "d")]
    )
    def test_states_that_never_repeat(self, pattern: str, end: str) -> None:
        """More states than are remembered: each step is computed, in memory that stays bounded."""
        draw = random.Random(1)
        compiled = compile(pattern)
        text = "".join(draw.choices("ab", k=20_000))
        tracemalloc.start()
        begin = time.perf_counter()
        assert not compiled.search(text)
        spent = time.perf_counter() - begin
        memory = tracemalloc.get_traced_memory()[0]
        tracemalloc.stop()
        assert spent < 20  # under 1 s on an idle core, without tracemalloc
        assert memory < 4e6  # bytes
        assert compiled.search(text + end)

    def test_many_characters_are_not_remembered(self) -> None:
        """A text of all characters there are leaves no more behind than any other."""
        compiled = compile(r"\d{3}x")
        gc.disable()  # nor does it count on the garbage collector
        tracemalloc.start()
        try:
            assert not compiled.search("".join(map(chr, range(200_000))))
            assert tracemalloc.get_traced_memory()[0] < 2e6
        finally:
            tracemalloc.stop()
            gc.enable()


def test_forgetting_changes_no_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_automata, "MAX_STEPS", 3)
    draw = random.Random(2)
    pattern = "(a|b)*a(a|b){4}c|^b+$"
    compiled = compile(pattern)
    for _ in range(300):
        text = "".join(draw.choices("abc", weights=(4, 4, 1), k=draw.randrange(12)))
        assert compiled.search(text) is reference(pattern, text)


def test_threads_share_a_pattern(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_automata, "MAX_STEPS", 50)
    draw = random.Random(3)
    pattern = "(a|b)*a(a|b){5}c"
    compiled = compile(pattern)
    texts = ["".join(draw.choices("abc", weights=(6, 6, 1), k=30)) for _ in range(400)]
    expected = [reference(pattern, text) for text in texts]
    assert 20 < sum(expected) < 380
    answers: list[list[bool]] = []
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        threads = [
            threading.Thread(target=lambda: answers.append([compiled.search(text) for text in texts]))
            for _ in range(8)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        sys.setswitchinterval(interval)
    assert answers == [expected] * 8


def test_the_documentation_s_examples() -> None:
    page = (Path(__file__).parents[2] / "docs" / "reference" / "patterns.md").read_text()
    rows = re.findall(r"^\| `(.*)` \| `(.+)` \| (yes|no) \|$", page, re.MULTILINE)
    assert len(rows) == 9
    for pattern, text, found in rows:
        assert compile(pattern.replace(r"\|", "|")).search(text) is (found == "yes"), pattern
