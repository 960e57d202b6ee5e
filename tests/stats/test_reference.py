"""The reference values beside the repository; published ones stand in the other tests too."""

from typing import Any

import pytest

from equipoise_stats import sample_ratio


def test_sample_ratio_values(reference: list[dict[str, Any]]) -> None:
    cases = [case for case in reference if case["method"] == "srm_chi2"]
    assert len(cases) >= 2
    for case in cases:
        names = [f"arm{i}" for i in range(len(case["inputs"]["observed"]))]
        check = sample_ratio(
            dict(zip(names, case["inputs"]["observed"], strict=True)),
            dict(zip(names, case["inputs"]["expected_ratio"], strict=True)),
        )
        assert check.statistic == pytest.approx(case["expected"]["chi2"], abs=case["abs_tol"]), case["id"]
        assert check.p_value == pytest.approx(case["expected"]["p"], abs=case["abs_tol"]), case["id"]
