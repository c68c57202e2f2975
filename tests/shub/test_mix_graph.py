"""Who waits for whom in a mix."""

import pytest

from config.errors import InvalidRequest
from shub.mix_graph import Node, aliases_of, resolve


def node(name: str, *, to: tuple[str, ...] = (), hears: tuple[str, ...] = ()) -> Node:
    return Node(name, name, aliases_of(name), tuple((bus, f"{name}.bus") for bus in to), hears)


def test_everything_comes_after_what_it_hears_or_is_fed_by():
    stems = [node("bass", hears=("drum bus",)), node("kick.wav", to=("drum bus",)), node("pad", hears=("kick",))]
    graph = resolve(stems, [node("drum bus"), node("space", hears=("pad",))], ["kick.wav"])
    assert graph.keys == {"drum bus": 3, "kick": 1, "pad": 2, "kick.wav": 1}
    place = {number: turn for turn, number in enumerate(graph.turns)}
    assert sorted(place) == [0, 1, 2, 3, 4]
    assert place[1] < place[3] < place[0]
    assert place[1] < place[2] < place[4]


def test_a_whole_name_wins_over_half_of_one():
    assert resolve([node("kick"), node("kick.wav"), node("bass", hears=("kick",))], []).keys == {"kick": 0}


@pytest.mark.parametrize(
    ("stems", "buses", "said"),
    [
        ([node("a", hears=("a",))], [], "a <- a"),
        ([node("a", hears=("b",)), node("b", hears=("c",)), node("c", hears=("a",))], [], "a <- b <- c <- a"),
        ([node("a", to=("bus",), hears=("bus",))], [node("bus")], "a <- bus <- a"),
        ([node("a", to=("bus",))], [node("bus", hears=("bus",))], "bus <- bus"),
        ([node("a", hears=("x",))], [node("bus")], "its stems and buses: a, bus"),
        ([node("a", to=("x",))], [], "it has no buses"),
        ([node("a.wav"), node("a.mp3"), node("b", hears=("a",))], [], "may be 2 of the stems"),
    ],
)
def test_circles_and_names_that_nobody_has_are_refused_in_words(stems, buses, said):
    with pytest.raises(InvalidRequest, match=said):
        resolve(stems, buses)
