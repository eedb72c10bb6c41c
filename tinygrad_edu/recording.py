"""Switch recording off: `no_grad`, right in threads, in async tasks and in generators."""

from __future__ import annotations

import contextlib
import functools
import inspect
from collections.abc import AsyncGenerator, Callable, Generator, Iterator
from contextvars import ContextVar, Token
from typing import Any


class _Block:
    """A `with no_grad():` that was entered."""

    token: Token[frozenset[_Block]]
    over = False


# The blocks that are open here; each thread and each async task has its own set. A set, and neither
# a switch nor a count: two generators may enter in one order and leave in another.
paused: ContextVar[frozenset[_Block]] = ContextVar("paused", default=frozenset())


def recording() -> bool:
    """Tell whether operations are recorded here.

    >>> with no_grad():
    ...     recording()
    False
    """
    return all(block.over for block in paused.get())


@contextlib.contextmanager
def recorded() -> Iterator[None]:
    """Record inside a `with` block, also inside `no_grad`: `create_graph=True` asks for it."""
    token = paused.set(frozenset())
    try:
        yield
    finally:
        paused.reset(token)


class no_grad:  # noqa: N801 (as PyTorch's)
    """Record nothing inside a `with` block, or inside the function that this decorates.

    A generator or an async function is paused only while it runs. (A `with` block inside a
    generator lasts while the generator waits, too, as it does in PyTorch: decorate it instead.)

    Examples
    --------
    >>> import tinygrad_edu as tg
    >>> x = tg.Tensor(3.0, requires_grad=True)
    >>> with tg.no_grad():
    ...     y = x * x
    >>> y.requires_grad
    False
    """

    def __init__(self) -> None:
        self._blocks: list[_Block] = []

    def __enter__(self) -> None:
        block = _Block()
        block.token = paused.set(paused.get() | {block})
        self._blocks.append(block)

    def __exit__(self, *error: object) -> None:
        block, others = self._blocks.pop(), paused.get()
        try:
            paused.reset(block.token)
        except ValueError:  # asyncio closes an abandoned generator in another task's context
            block.over = True
        paused.set(others - {block})

    def __call__(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """Decorate a function, a generator, or an async one of either."""
        call: Callable[..., Any]
        if inspect.isasyncgenfunction(function):

            def call(*args: Any, **options: Any) -> Any:
                return _PausedAsync(function(*args, **options))

        elif inspect.iscoroutinefunction(function):

            async def call(*args: Any, **options: Any) -> Any:
                with no_grad():
                    return await function(*args, **options)

        elif inspect.isgeneratorfunction(function):

            def call(*args: Any, **options: Any) -> Any:
                return (yield from _Paused(function(*args, **options)))

        else:

            def call(*args: Any, **options: Any) -> Any:
                with no_grad():
                    return function(*args, **options)

        return functools.wraps(function)(call)


class _Paused(Generator[Any, Any, Any]):
    """A generator that records nothing while it runs."""

    def __init__(self, generator: Generator[Any, Any, Any]) -> None:
        self._generator = generator

    def send(self, value: Any) -> Any:
        with no_grad():
            return self._generator.send(value)

    def throw(self, *error: Any) -> Any:
        with no_grad():
            return self._generator.throw(*error)


class _PausedAsync(AsyncGenerator[Any, Any]):
    """An async generator that records nothing while it runs."""

    def __init__(self, generator: AsyncGenerator[Any, Any]) -> None:
        self._generator = generator

    async def asend(self, value: Any) -> Any:
        with no_grad():
            return await self._generator.asend(value)

    async def athrow(self, *error: Any) -> Any:
        with no_grad():
            return await self._generator.athrow(*error)
