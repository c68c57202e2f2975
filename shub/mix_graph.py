"""Who goes where in a mix and who listens to whom: names resolved, and an order in which everything is there when it is needed. Pure."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePath

from config.errors import InvalidRequest


@dataclass(frozen=True)
class Node:
    """A stem or a bus. `place` is where it stands in the request, for refusals."""

    place: str
    name: str
    aliases: tuple[str, ...] = ()
    """Other names that it may be called by."""
    feeds: tuple[tuple[str, str], ...] = ()
    """The buses that it goes to, each with the place where the request says so."""
    listens: tuple[str, ...] = ()
    """The names that its side-chains call."""


@dataclass(frozen=True)
class MixGraph:
    """`keys`: the number of the node that each name of a side-chain means. `turns`: all numbers, each after what it needs."""

    keys: Mapping[str, int]
    turns: tuple[int, ...]


def aliases_of(name: str) -> tuple[str, ...]:
    """A file's name without its ending."""
    plain = PurePath(name).stem
    return (plain,) if plain and plain != name else ()


def resolve(stems: Sequence[Node], buses: Sequence[Node], master_listens: Sequence[str] = ()) -> MixGraph:
    """The graph of a mix; buses are numbered after the stems.

    Raises InvalidRequest for a name that nobody or more than one has, and for side-chains or sends that run in a circle.
    """
    nodes = [*stems, *buses]
    bus_numbers: dict[str, int] = {}
    for number, bus in enumerate(buses, start=len(stems)):
        if bus.name in bus_numbers:
            raise InvalidRequest(f"{bus.place}: there are two buses called {bus.name!r}")
        bus_numbers[bus.name] = number
    keys: dict[str, int] = {}
    needs: list[set[int]] = [set() for _ in nodes]
    for number, node in enumerate(nodes):
        for bus_name, place in node.feeds:
            if bus_name not in bus_numbers:
                raise InvalidRequest(f"{place}: there is no bus {bus_name!r}; {_known('buses', bus_numbers)}")
            needs[bus_numbers[bus_name]].add(number)
        for name in node.listens:
            keys[name] = _called(name, nodes, f"{node.place}.chain")
            needs[number].add(keys[name])
    for name in master_listens:
        keys[name] = _called(name, nodes, "chain")
    return MixGraph(keys, tuple(_turns(nodes, needs)))


def _called(name: str, nodes: Sequence[Node], place: str) -> int:
    found = [number for number, node in enumerate(nodes) if node.name == name]
    found = found or [number for number, node in enumerate(nodes) if name in node.aliases]
    if len(found) == 1:
        return found[0]
    if found:
        raise InvalidRequest(
            f"{place}: sidechain {name!r} may be {len(found)} of the stems; give them names of their own"
        )
    known = _known("stems and buses", dict.fromkeys(node.name for node in nodes))
    raise InvalidRequest(f"{place}: sidechain {name!r} is no stem and no bus of this mix; {known}")


def _known(what: str, names: Mapping[str, object]) -> str:
    return f"its {what}: {', '.join(names)}" if names else f"it has no {what}"


def _turns(nodes: Sequence[Node], needs: Sequence[set[int]]) -> Iterator[int]:
    """Depth first; what is met again while it is still open closes a circle."""
    done: set[int] = set()

    def visit(number: int, path: tuple[int, ...]) -> Iterator[int]:
        if number in path:
            circle = [*path[path.index(number) :], number]
            raise InvalidRequest(
                f"{nodes[number].place}: these wait for each other: {' <- '.join(nodes[one].name for one in circle)}"
            )
        if number not in done:
            for needed in sorted(needs[number]):
                yield from visit(needed, (*path, number))
            done.add(number)
            yield number

    for number in range(len(nodes)):
        yield from visit(number, ())
