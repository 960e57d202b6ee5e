"""Bucketing: the vectors, in Python and in SQL, and what makes it a randomisation."""

import json
import runpy
from collections import Counter
from pathlib import Path
from typing import Any

import duckdb
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import chi2_contingency, chisquare

from equipoise import BUCKETS, bucket

VECTORS = Path(__file__).parents[1] / "vectors" / "bucketing.json"
CASES: list[dict[str, Any]] = json.loads(VECTORS.read_text())["cases"]
SQL = "(('0x' || substr(sha256(salt || ':' || unit), 1, 13))::BIGINT % 10000)"


def test_vectors_hold_in_python() -> None:
    assert len(CASES) >= 200
    wrong = [case for case in CASES if bucket(case["salt"], case["unit"]) != case["bucket"]]
    assert wrong == []


def test_vectors_hold_in_duckdb() -> None:
    connection = duckdb.connect()
    connection.execute("CREATE TABLE cases (number INTEGER, salt VARCHAR, unit VARCHAR)")
    connection.executemany(
        "INSERT INTO cases VALUES (?, ?, ?)",
        [(number, case["salt"], case["unit"]) for number, case in enumerate(CASES)],
    )
    rows = connection.execute(f"SELECT {SQL} FROM cases ORDER BY number").fetchall()
    assert [row[0] for row in rows] == [case["bucket"] for case in CASES]


def test_vectors_are_what_their_script_writes() -> None:
    script = runpy.run_path(str(VECTORS.with_name("generate_bucketing.py")))
    assert script["cases"]() == CASES


def test_vectors_tell_normalisation_apart() -> None:
    buckets = {case["unit"]: case["bucket"] for case in CASES if case["group"] == "normalisation pairs"}
    assert buckets["caf\u00e9"] != buckets["cafe\u0301"]


@given(salt=st.text(min_size=1), unit=st.text(min_size=1))
def test_a_bucket_is_a_pure_function_within_bounds(salt: str, unit: str) -> None:
    first = bucket(salt, unit)
    assert 0 <= first < BUCKETS
    assert bucket(salt, unit) == first


def test_a_lone_surrogate_has_no_bucket() -> None:
    with pytest.raises(UnicodeEncodeError):
        bucket("9ab1c3d4e5f60718", "user-\ud800")


def test_buckets_are_uniform() -> None:
    counts = Counter(bucket("9ab1c3d4e5f60718", f"user-{n}") // 100 for n in range(100_000))
    assert chisquare([counts[hundred] for hundred in range(100)]).pvalue > 0.001


def test_slot_and_arm_are_independent() -> None:
    table = [[0] * 10 for _ in range(10)]
    for n in range(100_000):
        unit = f"user-{n}"
        table[bucket("0f3c5a7b9d1e2f40", unit) // 1000][bucket("9ab1c3d4e5f60718", unit) // 1000] += 1
    assert chi2_contingency(table).pvalue > 0.001
