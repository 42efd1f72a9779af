"""Runs that take turns: one at a time, in order, each with a clock that stands still meanwhile."""

from __future__ import annotations

import asyncio

import pytest

from mtpo_core.turns import Turns


class Clock:
    """Seconds that pass when somebody works."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def test_a_run_alone_goes_on_at_once():
    async def run() -> tuple[float, list[float]]:
        clock = Clock()
        async with Turns(clock).one() as turn:
            clock.now += 2
            await turn.over()
            clock.now += 3
            return turn.clock(), turn.ends

    assert asyncio.run(run()) == (5.0, [2.0])


def test_each_has_its_turn_and_the_clocks_of_others_stand_still():
    async def run() -> tuple[list[str], dict[str, float]]:
        clock, order, spent = Clock(), list[str](), dict[str, float]()
        turns = Turns(clock)

        async def go(name: str, steps: int, seconds: float) -> None:
            async with turns.one() as turn:
                for step in range(steps):
                    order.append(name)
                    before = clock.now
                    await asyncio.sleep(0)  # whoever could go on would now
                    assert clock.now == before
                    clock.now += seconds
                    if step + 1 < steps:
                        await turn.over()
                spent[name] = turn.clock()
                assert turn.ends == [seconds * (step + 1) for step in range(steps - 1)]

        await asyncio.gather(go("a", 4, 1.0), go("b", 2, 10.0), go("c", 3, 0.5))
        return order, spent

    assert asyncio.run(run()) == (list("abcabcaca"), {"a": 4.0, "b": 20.0, "c": 1.5})


def test_who_fails_or_is_cancelled_while_it_waits_keeps_nobody_from_going_on():
    async def run() -> list[str]:
        turns, done = Turns(), list[str]()

        async def go(name: str) -> None:
            async with turns.one() as turn:
                await turn.over()
                if name == "a":
                    tasks[1].cancel()
                    raise ValueError(name)
                await turn.over()
                done.append(name)

        tasks = [asyncio.create_task(go(name)) for name in "abc"]
        found = await asyncio.gather(*tasks, return_exceptions=True)
        assert isinstance(found[0], ValueError) and isinstance(found[1], asyncio.CancelledError)
        return done

    assert asyncio.run(asyncio.wait_for(run(), 10)) == ["c"]


def test_outside_its_turns_a_run_has_no_turn_to_end():
    with pytest.raises(RuntimeError):
        asyncio.run(Turns().one().over())
