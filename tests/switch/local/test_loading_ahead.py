"""Which model is loaded before anybody waits for it."""

from switch.local.rotation import Rotation, RotationRules

RULES = RotationRules(warm_after_uses=3, cooldown_seconds=300.0, window_seconds=30.0, guess_seconds=60.0)
SIZES = {"a": 10, "b": 10}


def used(*uses: tuple[str, float]) -> Rotation:
    rotation = Rotation(RULES)
    for model, at in uses:
        rotation.used(model, at)
    return rotation


def test_three_uses_within_half_a_minute_are_enough_and_two_are_not():
    rotation = used(("a", 0.0), ("a", 1.0))
    assert rotation.guess([], SIZES, 100, 1.0) is None
    rotation.used("a", 29.0)
    assert rotation.guess([], SIZES, 100, 29.0) == "a"
    rotation = used(("a", 0.0), ("a", 1.0), ("a", 31.0))
    assert rotation.guess([], SIZES, 100, 31.0) is None


def test_the_one_most_asked_for_that_is_not_there_and_fits():
    rotation = used(*[("a", 0.0)] * 5, *[("b", 0.0)] * 3)
    assert rotation.guess(["a"], {"b": 10}, 100, 1.0) == "b"
    assert used(*[("a", 0.0)] * 5).guess([], SIZES, 9, 1.0) is None
    assert used(*[("a", 0.0)] * 5, *[("b", 0.0)] * 3).guess([], {"a": 10, "b": 5}, 9, 1.0) == "b"
    assert used(*[("c", 0.0)] * 5).guess([], SIZES, 100, 1.0) is None  # cannot be loaded at all


def test_what_was_just_put_away_is_not_brought_back_for_a_while():
    rotation = used(*[("a", 0.0)] * 5)
    rotation.put_away("a", 1.0)
    assert rotation.guess([], SIZES, 100, 2.0) is None
    for at in (290.0, 295.0, 301.0):
        rotation.used("a", at)
    assert rotation.guess([], SIZES, 100, 300.9) is None
    assert rotation.guess([], SIZES, 100, 301.0) == "a"


def test_a_guess_stands_for_a_minute():
    rotation = used(*[("a", 0.0)] * 3)
    assert rotation.guess([], SIZES, 100, 0.0) == "a"
    for _ in range(9):
        rotation.used("b", 40.0)
    assert rotation.guess([], SIZES, 100, 59.0) == "a"
    assert rotation.guess(["a"], {"b": 10}, 100, 59.0) is None  # it is loaded already: nothing else meanwhile
    assert rotation.guess(["a"], {"b": 10}, 100, 60.0) == "b"
