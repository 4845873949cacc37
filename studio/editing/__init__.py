"""Editors, one file a method, registered under what `Edit.method` names: they change a photo as a sound says.

The other files here: `photo` reads pictures and masks, `sources` keeps what was read of them, `base` says what an
editor is.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from studio.registry import Registry

if TYPE_CHECKING:
    from studio.editing.base import Editor

EDITORS: Registry[type[Editor]] = Registry("editing method", "studio.editing")
