"""Which adapters are here: those of the program, and folders of the user's own, and what each of them lacks."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from studio.adapters import ADAPTERS
from studio.adapters._importing import described
from studio.adapters._published import adapters_home, installed
from studio.adapters.base import Adapter
from studio.backbones._shelf import ShelvedModel
from studio.encoders import ENCODERS
from studio.encoders._weights import installed as installed_ear
from studio.hub import ALLOW_DOWNLOAD
from studio.paths import assets_folder

EAR_OF_PUBLISHED = "beats"  # AudioToken's published files carry no config


@dataclass(frozen=True)
class Shelved:
    """An adapter that can be named. kind: the registered adapter that it is one of.  folder: None where it has none.

    ready: whether it and its ear are on this machine.  state: where it is, or what is missing, in words.
    word: D, the width of A* that it was made for.  hidden: the width of the transformer.  None = of no certain one.
    download: about how many bytes would be fetched for it and its ear; 0 where nothing, or where it cannot be fetched.
    """

    name: str
    kind: str
    about: str
    ear: str
    folder: str | None
    ready: bool
    state: str
    word: int | None = None
    hidden: int | None = None
    download: int = 0

    def misfit(self, model: ShelvedModel) -> str:
        """Why it cannot draw with an image model, in words; empty when it can, as far as widths tell."""
        if self.hidden is not None:
            if self.hidden == model.hidden:
                return ""
            has = "has no transformer" if model.hidden is None else f"has one of {model.hidden}"
            return f"it was made for a transformer {self.hidden} wide, and {model.title} {has}"
        if self.word in (None, model.word) or model.word is None:
            return ""
        return f"it was made for a model whose words are {self.word} wide, and those of {model.title} are {model.word}"


def shelf() -> list[Shelved]:
    """Every adapter by its name, the program's own first."""
    found = [_own(name) for name in ADAPTERS]
    home = adapters_home()
    if home.is_dir():
        folders = sorted(folder for folder in home.iterdir() if (folder / "config.json").is_file())
        found += [_users(folder) for folder in folders if folder.name not in ADAPTERS]
    return found


def _own(name: str) -> Shelved:
    kind = ADAPTERS.get(name)
    embedded = assets_folder() / "adapters" / name
    folder = embedded if embedded.is_dir() else None
    if kind.published is not None:
        folder = installed(name, kind.published)
        if folder is None:
            source = kind.published.source
            lacks = (
                f"copy {kind.published.files[0]} ({source})" if source else "nobody has published weights: put yours"
            )
            state, size = f"{lacks} into {adapters_home() / name}", 0
            if kind.published.repository is not None:
                size = kind.published.size + _ear_to_fetch(EAR_OF_PUBLISHED)
                state += _or_download(size)
            return Shelved(name, name, _about(kind), "", None, False, state, download=size)
    usual = "pocket" if kind.published is None else EAR_OF_PUBLISHED
    ear = str(described(folder).get("encoder", usual)) if folder is not None else usual
    where = "embedded" if folder == embedded else "nothing needed" if folder is None else f"in {folder}"
    return _with_ear(name, name, _about(kind), ear, folder, where)


def _about(kind: type[Adapter]) -> str:
    return kind.about or (kind.__doc__ or "").partition("\n")[0].rstrip(".")


def _users(folder: Path) -> Shelved:
    config = described(folder)
    kind = str(config.get("adapter", "word"))
    if kind not in ADAPTERS:
        return Shelved(folder.name, kind, "", "", str(folder), False, f"there is no kind of adapter {kind!r}")
    ear = str(config.get("encoder", "pocket"))
    return _with_ear(folder.name, kind, _about(ADAPTERS.get(kind)), ear, folder, f"in {folder}")


def _with_ear(name: str, kind: str, about: str, ear: str, folder: Path | None, where: str) -> Shelved:
    """Whether the ear is here too."""
    state, ready, size = f"{where}, ear {ear}", ear in ENCODERS, 0
    if not ready:
        state = f"{where}, but there is no ear {ear!r}"
    elif (published := ENCODERS.get(ear).published) is not None and installed_ear(ear, published) is None:
        state, ready = f"{where}, but its ear {ear!r} lacks {published.files[0]} ({published.source})", False
        if published.repository is not None:
            size = _ear_to_fetch(ear)
            state += _or_download(size)
    sizes = {} if folder is None else described(folder)
    instead = kind in ADAPTERS and ADAPTERS.get(kind).instead
    word, hidden = (None, _width(sizes, "width")) if instead else (_width(sizes, "text_width"), None)
    own = None if folder is None else str(folder)
    return Shelved(name, kind, about, ear, own, ready, state, word, hidden, size)


def _ear_to_fetch(ear: str) -> int:
    """About how many bytes an ear would be downloaded with; 0 where it is here or cannot be."""
    published = ENCODERS.get(ear).published
    if published is None or published.repository is None or installed_ear(ear, published) is not None:
        return 0
    return published.size


def _or_download(size: int) -> str:
    much = f" of about {size / 1e6:.0f} MB" if size else ""
    return f", or allow a download{much} with {ALLOW_DOWNLOAD}=1"


def _width(sizes: dict[str, Any], name: str) -> int | None:
    value = sizes.get(name)
    return value if isinstance(value, int) else None
