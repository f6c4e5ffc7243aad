"""A bounded pool of execution contexts."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from typing import Any, Generic, TypeVar

from fwd_core.errors import ForwardError, OptionError

T = TypeVar("T")


def check_limit(contexts: object) -> None:
    """Refuse what is no number of contexts; ``None`` stands for the backend's own.

    Raises:
        OptionError: As said.
    """
    if contexts is not None and (type(contexts) is not int or contexts < 1):
        raise OptionError(
            "argument 'contexts'",
            expected="how many runs may be under way at once, 1 or more; None for the backend's "
            "own number",
            got=repr(contexts),
        )


class Pool(Generic[T]):
    """Lends each object to one thread at a time; makes new ones until there are ``limit``.

    The object used last is lent first, because its buffers are warm; of objects that work on
    after they were given back, one that is idle. When all are lent, a thread waits.

    Args:
        create: Makes one object.
        limit: How many there may be at once, 1 or more.
        idle: Whether an object is idle for what is asked; by default all are.

    Raises:
        OptionError: The limit is less than 1.
    """

    def __init__(
        self, create: Callable[[], T], limit: int, idle: Callable[[T, Any], bool] | None = None
    ) -> None:
        if limit < 1:
            raise OptionError("a pool needs room for one context or more", got=limit)
        self._create = create
        self._is_idle = idle
        self._made = 0
        self._idle: deque[T] = deque()
        self._lock = threading.Lock()
        self._back = threading.Condition(self._lock)
        self._waiting = 0
        self._lent = 0
        self._closed = False
        self.limit = limit
        #: The most that were lent at one time.
        self.peak = 0

    def acquire(self, asked: Any = None) -> T:
        """An object that no other thread has; give it back with :meth:`release`.

        Args:
            asked: What it is wanted for, handed to ``idle``.

        Raises:
            ForwardError: The pool is closed.
        """
        with self._lock:
            found = self._next(asked)  # asks the device, which may have failed
            lent = self._lent = self._lent + 1
            if lent > self.peak:
                self.peak = lent
        if found is not None:
            return found
        try:
            return self._create()
        except BaseException:
            with self._lock:
                self._lent -= 1
                self._made -= 1
                self._back.notify()
            raise

    def _next(self, asked: Any) -> T | None:
        """One that is there, or ``None`` where a new one is to be made."""
        while True:
            if self._closed:
                raise ForwardError("the engine is closed", hint="build or load it again")
            if self._idle:
                if self._is_idle is None or self._is_idle(self._idle[-1], asked):
                    return self._idle.pop()
                if (found := self._other(asked)) is not None:
                    return found
            if self._made < self.limit:
                self._made += 1
                return None
            self._waiting += 1
            try:
                self._back.wait()
            finally:
                self._waiting -= 1

    def _other(self, asked: Any) -> T | None:
        """One that is there where the last works on, or ``None`` where a new one is better."""
        for item in list(self._idle)[-2::-1]:
            if self._is_idle is not None and self._is_idle(item, asked):
                self._idle.remove(item)
                return item
        return None if self._made < self.limit else self._idle.popleft()

    def release(self, item: T) -> None:
        """Give an object back."""
        with self._lock:
            self._lent -= 1
            self._idle.append(item)
            if self._waiting:
                self._back.notify_all()

    def close(self) -> None:
        """Lend no more, wait until all objects are back, and let go of them."""
        with self._lock:
            self._closed = True
            self._back.notify_all()
            while self._lent:
                self._waiting += 1
                try:
                    self._back.wait()
                finally:
                    self._waiting -= 1
            self._idle.clear()
