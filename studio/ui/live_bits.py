"""The bits of sound that the Live tab's browser sends: what was never read is deleted soon, not when the cache is.

Gradio keeps only the newest bit while an older one is being handled, so some are uploaded and never handed to us. Each
is a file called audio.wav in a folder of its own, as a recording of the Create tab is too; that one, however, has been
looked at by the time it could be mistaken for one of these.
"""

from __future__ import annotations

import os
import time
from contextlib import suppress
from pathlib import Path

from gradio.utils import get_upload_folder

from studio.ui.sounds import RECORDED, is_on_a_desk

LARGEST = 2_000_000  # bytes; 5 s in stereo at 96 kHz, far more than a bit
SETTLED = 30.0  # s after which an uploaded file has been looked at, if it ever will be


def forget_bits(since: float, now: float | None = None) -> int:
    """Delete unread bits in Gradio's cache. Gives how many.

    since, now: seconds since 1970; only files that came after `since` and at least 30 s before now are touched.
    """
    until = (time.time() if now is None else now) - SETTLED
    gone = 0
    with suppress(OSError):
        for folder in os.scandir(get_upload_folder()):
            file = Path(folder.path) / RECORDED
            with suppress(OSError):
                found = file.stat()
                if since <= found.st_mtime <= until and found.st_size <= LARGEST and not is_on_a_desk(file):
                    file.unlink()
                    gone += 1
                    file.parent.rmdir()
    return gone
