"""The page of what was tried says what is so today."""

import pytest
import trust

pytestmark = pytest.mark.skipif(
    not (trust.ROOT / "docs").exists(), reason="the docs are not part of this package"
)


@pytest.fixture(scope="module")
def tests():
    return trust.collected()


def test_the_page_is_as_printed(tests):
    assert (trust.ROOT / "docs" / "trust.md").read_text(encoding="utf-8") == trust.page(tests)


def test_what_was_found_would_be_found_again(tests):
    assert {f"tests/{found.test}" for found in trust.FOUND} <= set(tests)


def test_every_survivor_is_explained_and_nothing_else():
    for module, (_, _, survivors) in trust.outcome().items():
        explained = [pair for _, pairs in trust.explanations()[module] for pair in pairs]
        assert sorted(explained) == sorted(map(list, {tuple(pair) for pair in survivors}))


def test_round_numbers_are_rounded_down():
    assert [trust.more_than(count) for count in (7, 34, 900, 1001)] == [
        "more than 6",
        "more than 30",
        "more than 800",
        "more than 1,000",
    ]
