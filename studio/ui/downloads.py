"""Fetching an image model while a page looks on. No gradio here.

What has arrived is read off the disk, so that it does not matter how the hub's library fetches it.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

from studio.errors import HearsightError
from studio.ui import storage

LOOK = 0.5  # s between two looks at the disk


class _Fetching:
    """One download, in a thread of its own: it goes on when the page that began it is closed."""

    def __init__(self, name: str) -> None:
        self.error: BaseException | None = None
        self.thread = threading.Thread(target=self._run, args=(name,), name=f"fetch {name}", daemon=True)
        self.thread.start()

    def _run(self, name: str) -> None:
        from studio.backbones.hub import model_folder

        try:
            model_folder(name, allow_download=True)
        except BaseException as error:  # whoever looks on raises it again
            self.error = error


_running: dict[str, _Fetching] = {}
_lock = threading.Lock()


def fetch(name: str) -> Iterator[int]:
    """Fetch a model of the hub, or look on while it is being fetched already: gives the bytes that are here, until
    all are. The caller has asked the user. Raises HearsightError when it cannot be fetched; a further call goes on
    where it broke off.
    """
    with _lock:
        going = _running.get(name)
        if going is None or not going.thread.is_alive():
            going = _running[name] = _Fetching(name)
    while going.thread.is_alive():
        yield arrived(name)
        going.thread.join(LOOK)
    if isinstance(going.error, HearsightError):
        raise going.error
    if going.error is not None:
        raise HearsightError(f"The model {name!r} could not be downloaded ({going.error}).") from going.error


def arrived(name: str) -> int:
    """The bytes of a model of the hub that are on this disk, those of files that are not whole among them."""
    from huggingface_hub import constants

    folder = Path(constants.HF_HUB_CACHE) / f"models--{name.replace('/', '--')}" / "blobs"
    return storage.held(folder.glob("*"))[1]
