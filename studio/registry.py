"""A plug-in is a file: the package's folder is scanned once, and every file in it registers what it holds.

>>> ENCODERS = Registry[type]("encoder", "studio.encoders")
>>> @ENCODERS.register("pocket")
... class PocketEar: ...
"""

from __future__ import annotations

import importlib
import pkgutil
import threading
from collections.abc import Callable, Iterator
from typing import Generic, TypeVar

from studio.errors import InputError

Item = TypeVar("Item")
Plugin = TypeVar("Plugin")


class Registry(Generic[Item]):
    """Named plug-ins of one kind, found by importing every module of one package on first use.

    kind: what a plug-in is called in messages, e.g. "encoder".
    package: dotted name of the package whose modules register themselves, e.g. "studio.encoders".
        Modules whose name starts with an underscore, and `base`, hold no plug-ins and are skipped.
    """

    def __init__(self, kind: str, package: str) -> None:
        self.kind = kind
        self.package = package
        self._items: dict[str, Item] = {}
        self._scanned = False
        self._lock = threading.RLock()  # re-entrant: a scanned module may look something up while it is imported

    def register(self, name: str) -> Callable[[Plugin], Plugin]:
        """Decorator that adds a class or function under `name` and writes that name to its attribute `name`.

        Raises ValueError when the name is taken: two plug-ins must not silently replace one another.
        """

        def add(item: Plugin) -> Plugin:
            with self._lock:
                if name in self._items:
                    raise ValueError(f"two {self.kind}s are called {name!r}: {self._items[name]!r} and {item!r}")
                setattr(item, "name", name)  # noqa: B010 - a Plugin has no declared attribute to assign to
                self._items[name] = item  # type: ignore[assignment]  # a Plugin is an Item that keeps its own type
            return item

        return add

    def get(self, name: str) -> Item:
        """The plug-in called `name`. Raises InputError naming the known ones when there is none."""
        self._scan()
        try:
            return self._items[name]
        except KeyError:
            known = ", ".join(self.names()) or "none"
            raise InputError(f"There is no {self.kind} called {name!r}. Known {self.kind}s: {known}.") from None

    def names(self) -> tuple[str, ...]:
        """The names of all plug-ins, sorted."""
        self._scan()
        return tuple(sorted(self._items))

    def __contains__(self, name: object) -> bool:
        self._scan()
        return name in self._items

    def __iter__(self) -> Iterator[str]:
        return iter(self.names())

    def _scan(self) -> None:
        if self._scanned:
            return
        with self._lock:
            if self._scanned:
                return
            package = importlib.import_module(self.package)
            for module in sorted(pkgutil.iter_modules(package.__path__), key=lambda found: found.name):
                if module.name != "base" and not module.name.startswith("_"):
                    importlib.import_module(f"{self.package}.{module.name}")
            self._scanned = True  # only now: a module that fails to import fails again, with its own error, next time
