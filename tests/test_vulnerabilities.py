"""What `make check` says of the dependencies' known vulnerabilities."""

from __future__ import annotations

from requirements.audit import verdict_on


def test_a_vulnerable_version_fails_the_check_and_is_named() -> None:
    vulnerable = {"id": "CVE-2026-1", "fix_versions": ["1.2.4"]}
    sentence, is_fine = verdict_on(
        {
            "dependencies": [
                {"name": "sound", "version": "1", "vulns": []},
                {"name": "holed", "version": "1.2.3", "vulns": [vulnerable]},
            ]
        }
    )
    assert not is_fine
    assert "holed 1.2.3: CVE-2026-1, fixed in 1.2.4" in sentence
    assert "sound" not in sentence


def test_without_a_network_it_passes_and_says_so() -> None:
    skipped = {"name": "sound", "skip_reason": "not found"}
    for dependencies in ([], [skipped]):
        sentence, is_fine = verdict_on({"dependencies": dependencies})
        assert is_fine
        assert "cannot be reached" in sentence


def test_what_is_unknown_is_counted() -> None:
    sentence, is_fine = verdict_on(
        {
            "dependencies": [
                {"name": "sound", "version": "1", "vulns": []},
                {"name": "own", "skip_reason": "not found"},
            ]
        }
    )
    assert is_fine
    assert sentence == "1 versions have no known vulnerability, 1 are unknown."
