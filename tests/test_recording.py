"""no_grad: in threads, tasks and generators, overlapping, abandoned, and asked for anyway."""

import asyncio
import contextlib
import inspect
import threading

import pytest

import tinygrad_edu as tg


@pytest.fixture
def x():
    return tg.Tensor(2.0, requires_grad=True)


def recorded(x):
    return (x * 2).requires_grad


def test_create_graph_records_inside_no_grad(x):
    y = x**3
    with tg.no_grad():
        (g,) = tg.grad(y, x, create_graph=True)
        assert not recorded(x)
        assert not tg.grad(y, x)[0].requires_grad
        (h,) = tg.grad([g, g], x, [1.0, 1.0], create_graph=True)
    assert (g.requires_grad, g.item(), h.item()) == (True, 12, 24)
    assert tg.grad(h, x)[0].item() == 12


def test_one_instance_can_be_entered_again_and_nested(x):
    block = tg.no_grad()
    for _ in range(2):
        with block, block:
            assert not recorded(x)
        assert recorded(x)


def test_a_generator_is_paused_only_while_it_runs(x):
    @tg.no_grad()
    def steps(count):
        inside = []
        for _ in range(count):
            inside.append(recorded(x))
            received = yield inside
            inside.append(received)
        return "end"

    assert inspect.isgeneratorfunction(steps)
    generator = steps(2)
    assert next(generator) == [False]
    assert recorded(x)
    assert generator.send("sent") == [False, "sent", False]
    assert recorded(x)
    with pytest.raises(StopIteration) as end:
        next(generator)
    assert end.value.value == "end"
    assert recorded(x)


def test_a_generator_may_catch_what_is_thrown_and_clean_up(x):
    seen = []

    @tg.no_grad()
    def steps():
        try:
            while True:
                try:
                    yield recorded(x)
                except KeyError:
                    seen.append(("caught", recorded(x)))
        finally:
            seen.append(("closed", recorded(x)))

    generator = steps()
    next(generator)
    assert generator.throw(KeyError()) is False
    generator.close()
    assert seen == [("caught", False), ("closed", False)]
    assert recorded(x)


def test_a_decorated_generator_serves_as_a_context_manager(x):
    @contextlib.contextmanager
    @tg.no_grad()
    def block():
        yield recorded(x)

    with block() as inside:
        assert (inside, recorded(x)) == (False, True)


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_blocks_that_overlap_leave_recording_on(x, order):
    def inside():
        with tg.no_grad():
            yield recorded(x)

    generators = [inside(), inside()]
    assert [next(generator) for generator in generators] == [False, False]
    first, second = order
    generators[first].close()
    assert not recorded(x)  # the other one is still open
    generators[second].close()
    assert recorded(x)


def test_blocks_of_threads_do_not_meet(x):
    seen, barrier = {}, threading.Barrier(4)

    def work(number):
        barrier.wait()
        for _ in range(200):
            with tg.no_grad() if number % 2 else contextlib.nullcontext():
                seen.setdefault(number, set()).add(recorded(x))

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert seen == {0: {True}, 1: {False}, 2: {True}, 3: {False}}


def test_a_coroutine_is_paused_and_others_are_not(x):
    @tg.no_grad()
    async def inside():
        first = recorded(x)
        await asyncio.sleep(0)
        return first, recorded(x)

    async def outside():
        await asyncio.sleep(0)
        return recorded(x)

    async def both():
        results = await asyncio.gather(inside(), outside(), inside())
        return results, recorded(x)

    assert inspect.iscoroutinefunction(inside)
    assert asyncio.run(both()) == ([(False, False), True, (False, False)], True)


def test_an_async_generator_is_paused_only_while_it_runs(x):
    @tg.no_grad()
    async def steps():
        try:
            for _ in range(2):
                await asyncio.sleep(0)
                yield recorded(x)
        finally:
            yielded.append(recorded(x))

    async def consume():
        return [(inside, recorded(x)) async for inside in steps()]

    yielded = []
    assert asyncio.run(consume()) == [(False, True), (False, True)]
    assert yielded == [False]


@pytest.mark.parametrize("decorated", [False, True])
def test_an_abandoned_async_generator_leaves_recording_on(x, decorated):
    async def steps():
        if decorated:
            for _ in range(3):
                yield recorded(x)
        else:
            with tg.no_grad():
                for _ in range(3):
                    yield recorded(x)

    if decorated:
        steps = tg.no_grad()(steps)

    async def consume():
        async for inside in steps():
            assert not inside
            break
        for _ in range(3):
            await asyncio.sleep(0)  # asyncio closes it in a task of its own
        import gc

        gc.collect()
        await asyncio.sleep(0.01)
        return recorded(x)

    assert asyncio.run(consume()) is True


def test_a_task_made_inside_a_block_stays_paused(x):
    async def child():
        await asyncio.sleep(0)
        return recorded(x)

    async def parent():
        with tg.no_grad():
            task = asyncio.ensure_future(child())
        return recorded(x), await task

    assert asyncio.run(parent()) == (True, False)


@pytest.mark.parametrize("error", [KeyError, KeyboardInterrupt, GeneratorExit])
def test_an_exception_ends_the_block(x, error):
    with pytest.raises(error), tg.no_grad():
        raise error
    assert recorded(x)


def test_a_method_and_a_lambda_can_be_decorated(x):
    class Model:
        @tg.no_grad()
        def score(self, value):
            """Keep this."""
            return value * 2

    assert not Model().score(x).requires_grad
    assert Model.score.__doc__ == "Keep this."
    assert not tg.no_grad()(lambda: x * 2)().requires_grad
