"""Write bucketing.json: inputs chosen to break an implementation, expectations computed from the definition.

Run `python tests/vectors/generate_bucketing.py`. It shares no code with the SDK: the expectation is read off
the hexadecimal digest, as the definition is worded. Running it again writes the same bytes.
"""

import hashlib
import json
import random
import unicodedata
from pathlib import Path

SALTS = ("9ab1c3d4e5f60718", "0f3c5a7b9d1e2f40", "0000000000000000", "ffffffffffffffff")


def expected(salt: str, unit: str) -> int:
    """Compute the bucket as the definition says it."""
    digest = hashlib.sha256((salt + ":" + unit).encode("utf-8")).hexdigest()
    return int(digest[0:13], 16) % 10000


def units() -> dict[str, list[str]]:
    """Return the units of every group of cases."""
    accented = ["café", "naïve", "Ångström", "ﬁne", "한국어", "ñandú", "é", "ſ"]
    return {
        "ordinary": [f"user-{n}" for n in (0, 1, 2, 10, 999_999)]
        + ["a", "alice@example.com", "6f1c2e9a-8f4e-4d53-9d5c-2b8f0a6c1e77", "01J9ZK3V7Q8XW2M4N6P8R0T2Y4"],
        "numbers as strings": [
            *("0", "1", "-1", "+1", "00", "01", "007", "1.0", "1.00", "1e3", "1000", "1,000", "0x10", "NaN"),
            *(
                "Infinity",
                "-0",
                "9007199254740991",
                "9007199254740993",
                "9223372036854775808",
                "١٢٣",
                "１２３",
            ),
        ],
        "words that look like no value": [
            "null",
            "NULL",
            "None",
            "nil",
            "undefined",
            "true",
            "false",
            "[]",
            "{}",
        ],
        "case pairs": ["user", "User", "USER", "straße", "STRASSE", "ıI", "iİ", "ΣΑΣ", "σας", "ǅ", "ǆ"],
        "whitespace": [
            *(
                " ",
                "  ",
                "\t",
                "\n",
                "\r",
                "\r\n",
                "\x0b",
                "\x0c",
                " user",
                "user ",
                " user ",
                "us er",
                "us  er",
            ),
            *("\u00a0", "\u2003", "\u2028", "\u2029", "\u3000", "\u1680", "user\n", "\tuser"),
        ],
        "zero width": [
            *("\u200b", "\u200c", "\u200d", "\u2060", "\ufeff", "\u00ad", "user\u200b", "\u200buser"),
            *("us\u200der", "\ufeffuser", "\u202euser", "user\u202c"),
        ],
        "normalisation pairs": [
            unicodedata.normalize(form, text) for text in accented for form in ("NFC", "NFD", "NFKC", "NFKD")
        ],
        "astral": [
            *(
                "😀",
                "👩‍👩‍👧‍👦",
                "🇸🇮",
                "👍🏽",
                "𝕌𝕤𝕖𝕣",
                "𐍈",
                "𠮷野家",
                "\U0010ffff",
                "\U000e0001",
                "a😀b",
                "😀:😀",
            ),
        ],
        "scripts": [
            *("пользователь", "χρήστης", "用户", "ユーザー", "사용자", "משתמש", "مستخدم", "उपयोगकर्ता", "ผู้ใช้"),
            *("người dùng", "użytkownik", "\ufffd", "\ufffe", "\uffff", "\ue000"),
        ],
        "colons": [":", "::", ":user", "user:", "a:b", "a:b:c", "user:1", ":::user", "a::b", "：", "a;b"],
        "controls": [chr(code) for code in (1, 2, 7, 8, 14, 27, 31, 127, 128, 133, 159)]
        + ["a\x1fb", "\x1b[31mred"],
        "null bytes": ["\x00", "a\x00", "\x00a", "a\x00b", "\x00\x00"],
        "quotes and escapes": [
            *(
                "'",
                "''",
                '"',
                '""',
                "`",
                "\\",
                "\\\\",
                "\\n",
                "\\u0041",
                "\\'",
                "it's",
                'say "hi"',
                "%",
                "%s",
            ),
            *(
                "%27",
                "&amp;",
                "<b>",
                "${x}",
                "{{x}}",
                "$1",
                "?",
                "/",
                "../..",
                "#",
                "~",
                "_",
                "a_b",
                "a%b",
                "*",
            ),
        ],
        "text that looks like SQL": [
            *(
                "' OR '1'='1",
                "'; DROP TABLE units; --",
                "1; SELECT 1",
                "/* */",
                "-- x",
                "x' || 'y",
                "||",
                "CHR(0)",
            ),
        ],
        "long": [
            "x" * 127,
            "x" * 128,
            "x" * 255,
            "x" * 256,
            "x" * 1024,
            "x" * 10_000,
            "é" * 10_000,
            "😀" * 10_000,
        ],
        # SHA-256 works on blocks of 64 bytes: with salt, colon and padding, these lengths are its edges.
        "block edges": ["b" * length for length in range(36, 50)]
        + ["b" * length for length in range(100, 114)],
    }


def cases() -> list[dict[str, object]]:
    """Return every case."""
    found: list[dict[str, object]] = []

    def add(group: str, salt: str, unit: str) -> None:
        found.append({"group": group, "salt": salt, "unit": unit, "bucket": expected(salt, unit)})

    for group, members in units().items():
        for index, unit in enumerate(dict.fromkeys(members)):
            add(group, SALTS[index % 2], unit)
    generator = random.Random(20_251_122)
    for number in range(40):
        add("many salts", f"{generator.getrandbits(64):016x}", f"user-{number}")
    for salt in SALTS:
        add("same unit under every salt", salt, "user-1")
        add("colons move between salt and unit", salt[:8], salt[8:] + ":user-1")
        add("colons move between salt and unit", salt[:8] + ":" + salt[8:], "user-1")
    return found


def main() -> None:
    """Write the file beside this script."""
    document = {
        "schema": "equipoise.vectors.bucketing/1",
        "definition": "int(sha256(salt + ':' + unit as UTF-8).hexdigest()[0:13], 16) % 10000",
        "cases": cases(),
    }
    path = Path(__file__).with_name("bucketing.json")
    # ASCII only, so that no editor and no version control normalises a unit.
    path.write_text(json.dumps(document, indent=1, ensure_ascii=True) + "\n", encoding="ascii")
    print(f"{len(document['cases'])} cases written to {path.name}")


if __name__ == "__main__":
    main()
