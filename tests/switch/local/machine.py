"""A machine of local models that exists only on paper: its clock stands still unless it is told, and what happens is written down."""

from dataclasses import dataclass, field

from switch.local.queue import Queue, Ticket
from switch.local.scheduling import Resident, Rules, next_turn


@dataclass
class Loaded:
    memory_bytes: int
    used_at: float
    ready_at: float
    answering: list[float] = field(default_factory=list)
    """When each request that it has will be done."""
    is_fresh: bool = True


class Machine:
    """Does what `next_turn` says. Times in seconds; a request takes `answer_seconds`, a load `load_seconds`."""

    def __init__(
        self,
        sizes: dict[str, int],
        *,
        budget: int,
        places: int = 1,
        ageing: float = 0.0,
        patience: float = 1000.0,
        limit: int = 1000,
        answer_seconds: float = 1.0,
        load_seconds: float = 2.0,
    ) -> None:
        self.now = 0.0
        self.rules = Rules(ageing, patience, budget)
        self.queue = Queue(self.rules, limit=limit, clock=lambda: self.now)
        self.sizes, self.places = sizes, places
        self.answer_seconds, self.load_seconds = answer_seconds, load_seconds
        self.loaded: dict[str, Loaded] = {}
        self.served: list[Ticket] = []
        self.served_at: dict[int, float] = {}
        self.loads: list[str] = []

    def ask(self, model: str, priority: str = "USER_INTERACTIVE") -> Ticket:
        ticket = self.queue.join(model, priority)  # type: ignore[arg-type]
        self.step()
        return ticket

    def step(self) -> None:
        """Everything that can be done at this moment."""
        while self._turn():
            pass

    def _turn(self) -> bool:
        residents = [
            Resident(
                name,
                one.memory_bytes,
                one.used_at,
                is_ready=one.ready_at <= self.now,
                is_fresh=one.is_fresh,
                answering=len(one.answering),
                places=self.places,
            )
            for name, one in self.loaded.items()
        ]
        assert sum(one.memory_bytes for one in residents) <= self.rules.budget_bytes
        sizes = {name: size for name, size in self.sizes.items() if name not in self.loaded}
        turn = next_turn(self.queue.tickets, residents, sizes, self.rules, self.now)
        for ticket in turn.begin:
            one = self.loaded[ticket.model]
            assert one.ready_at <= self.now
            one.answering.append(self.now + self.answer_seconds)
            assert len(one.answering) <= self.places
            one.is_fresh, one.used_at = False, self.now
            self.queue.serve(ticket)
            self.served.append(ticket)
            self.served_at[ticket.number] = self.now
        for name in turn.stop:
            assert not self.loaded[name].answering, "a busy model was stopped"
            del self.loaded[name]
        if turn.load is not None:
            self.loads.append(turn.load)
            self.loaded[turn.load] = Loaded(self.sizes[turn.load], self.now, self.now + self.load_seconds)
        return bool(turn.begin or turn.stop or turn.load)

    def forward(self, to: float | None = None) -> None:
        """Let time pass until the next thing happens, or, given a time, everything until then."""
        if to is None:
            to = min(self._events(), default=self.now)
        while (at := min(self._events(), default=to + 1)) <= to:
            self.now = at
            for one in self.loaded.values():
                one.answering = [end for end in one.answering if end > at]
            self.step()
        self.now = to

    def finish(self) -> None:
        """Until nobody waits any more."""
        for _ in range(10_000):
            if self.queue.is_empty:
                return
            assert self._events(), f"{len(self.queue.tickets)} wait and nothing happens"
            self.forward()
        raise AssertionError("it does not end")

    def _events(self) -> list[float]:
        loads = [one.ready_at for one in self.loaded.values() if one.ready_at > self.now]
        return loads + [end for one in self.loaded.values() for end in one.answering]
