"""Answers that are kept: the same for the same, for whoever asked, as long as asked for, within the memory that there is."""

from switch.cache import OVERHEAD_BYTES, AnswerCache


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def put(cache: AnswerCache, key: bytes, size: int = 10) -> None:
    cache.put(key, b"x" * size, model="p/m", provider="p", decision_id="dec_1")


def test_an_answer_is_given_again_until_it_is_too_old():
    clock = Clock()
    cache = AnswerCache(100_000, clock=clock)
    put(cache, b"k")
    clock.now = 5.0
    assert cache.get(b"k", max_age_seconds=5.0).answer == b"x" * 10
    assert cache.get(b"k", max_age_seconds=4.9) is None
    assert cache.get(b"other", max_age_seconds=5.0) is None


def test_what_makes_two_requests_the_same():
    one = AnswerCache.key("me", {"model": "auto", "messages": [{"role": "user", "content": "hi"}]})
    assert one == AnswerCache.key("me", {"messages": [{"role": "user", "content": "hi"}], "model": "auto"})
    assert one != AnswerCache.key("you", {"model": "auto", "messages": [{"role": "user", "content": "hi"}]})
    assert one != AnswerCache.key("me", {"model": "auto", "messages": [{"role": "user", "content": "hi "}]})
    assert one != AnswerCache.key("me", {"model": "auto", "messages": [{"role": "user", "content": "hi"}]}, "code")


def test_the_least_recently_used_goes_first():
    cache = AnswerCache(5 * (10 + OVERHEAD_BYTES))
    for name in b"abcde":
        put(cache, bytes([name]))
    assert cache.get(b"a", max_age_seconds=9e9)
    put(cache, b"f")
    assert cache.get(b"a", max_age_seconds=9e9)
    assert cache.get(b"b", max_age_seconds=9e9) is None


def test_an_answer_that_would_push_out_everything_else_is_not_kept():
    cache = AnswerCache(10_000)
    put(cache, b"small")
    put(cache, b"big", size=9_000)
    assert cache.get(b"big", max_age_seconds=9e9) is None
    assert cache.get(b"small", max_age_seconds=9e9)


def test_no_memory_keeps_nothing():
    cache = AnswerCache(0)
    put(cache, b"k", size=0)
    assert cache.get(b"k", max_age_seconds=9e9) is None
