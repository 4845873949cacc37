"""The hub of published weights: what of it is on this machine, and downloads, which only happen when they are
allowed.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path

from studio.errors import HearsightError

ALLOW_DOWNLOAD = "HEARSIGHT_ALLOW_DOWNLOAD"


def download_allowed() -> bool:
    """Whether the user has allowed downloads by the environment variable HEARSIGHT_ALLOW_DOWNLOAD=1."""
    return os.environ.get(ALLOW_DOWNLOAD, "").lower() in ("1", "true", "yes")


def cached(
    name: str, files: Sequence[str], complete: Callable[[Path], bool], repository_type: str = "model"
) -> Path | None:
    """The folder of "owner/name" in the hub's cache on this machine, or None. The network is not touched.

    files: patterns of what is used of the repository.  complete: whether a folder holds what is needed, because a
    cache can also hold another part of the repository.  repository_type: "model" or "space".
    """
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HFValidationError, LocalEntryNotFoundError

    try:
        folder = Path(
            snapshot_download(name, allow_patterns=list(files), local_files_only=True, repo_type=repository_type)
        )
    except (LocalEntryNotFoundError, HFValidationError):
        return None
    return folder if complete(folder) else None


def downloaded(name: str, files: Sequence[str], what: str, offline: str, repository_type: str = "model") -> Path:
    """Fetch `files` of "owner/name" into the hub's cache, with a progress bar, and give its folder.

    The caller has asked the user. what, offline: how the message names the thing, and the way to get it without a
    network. Raises HearsightError when it cannot be fetched.
    """
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError

    try:
        return Path(snapshot_download(name, allow_patterns=list(files), repo_type=repository_type))
    except (OSError, HfHubHTTPError, HFValidationError) as error:
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise HearsightError(
            f"{what} could not be downloaded ({reason}). Check the network and the name, {offline}."
        ) from error
