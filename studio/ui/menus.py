"""What the menus of the page list: image models, and the adapters and ears that go with one. No gradio here.

The lists are those of the command line (`studio.backbones._shelf`, `studio.adapters._shelf`), said for people.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from studio.recipe import Recipe
from studio.ui import words
from studio.ui.service import Service

if TYPE_CHECKING:
    from studio.adapters._shelf import Shelved
    from studio.backbones._shelf import ShelvedModel
    from studio.device import DeviceChoice

Choices = list[tuple[str, str]]
AUTO, CONCEPTS = "auto", "concepts"
EAR = "pocket"  # the ear of the concepts adapter, which a recipe need not name
SPOKEN = ("ear", "top_k", "temperature")  # of a recipe, what only the concepts adapter reads


def models(service: Service) -> list[ShelvedModel]:
    """The image models that visitors may choose, those that can be used now first."""
    from studio.backbones._shelf import model_named
    from studio.backbones._shelf import models as all_models

    choice, freed = _choice(service), service.held
    found = [one for one in all_models(choice, freed) if service.offers(one.name)]
    if service.model not in [one.name for one in found]:
        own = model_named(service.model, choice, freed)
        found = [*([] if own is None else [own]), *found]
    return sorted(found, key=lambda one: not one.ready)  # stable: otherwise as the command line has them


def model(service: Service, name: str) -> ShelvedModel | None:
    """One of them, or another one that a picture names; None when nothing is known of it."""
    from studio.backbones._shelf import model_named

    return model_named(name, _choice(service), service.held)


def _choice(service: Service) -> DeviceChoice:
    from studio.device import pick_device

    return pick_device() if service.choice is None else service.choice


def model_choices(found: list[ShelvedModel], chosen: str) -> Choices:
    """The entries of the menu; one that a picture brought along is among them even if it is not here."""
    entries = [(entry(one), one.name) for one in found]
    known = chosen in [name for _, name in entries]
    return entries if known else [*entries, (words.MODEL_MISSING.format(model=Path(chosen).name), chosen)]


def entry(one: ShelvedModel) -> str:
    """A model in the menu: its title, and what stands between it and a picture."""
    title = title_of(one.title)
    if one.lacks:
        return words.MODEL_INCOMPLETE.format(model=title)
    if not one.ready:
        title = words.MODEL_TO_DOWNLOAD.format(model=title, size=gigabytes(one.download))
    return title if one.fits else words.MODEL_TOO_LARGE.format(model=title)


def title_of(name: str) -> str:
    """What an image model is called on the page, by its name."""
    return words.MODEL_TITLES.get(name, Path(name).name)


def gigabytes(size: int) -> str:
    """Bytes as a download is said: 5.5 GB, 0.4 GB."""
    return f"{size / 1e9:.1f} GB"


def model_line(one: ShelvedModel | None) -> str:
    """What a model draws by itself and how it fits into memory, in a sentence or two."""
    if one is None or one.lacks:
        return words.MODEL_UNUSABLE
    like = one.defaults
    said = [words.MODEL_LIKES.format(size=like.side, steps=like.num_inference_steps)]
    if one.free is not None:
        need, free = f"{one.weights / 2**30:.1f} GiB", f"{one.free / 2**30:.1f} GiB"
        form = words.MODEL_FITS if one.fits else words.MODEL_DOES_NOT_FIT
        said.append(form.format(need=need, free=free))
    if one.fits and (one.offload or one.slices):
        said.append(words.MODEL_SLOWER)
    return " ".join(said)


def adapters(one: ShelvedModel | None) -> tuple[list[Shelved], list[Shelved], list[Shelved]]:
    """The adapters that can be used with a model, those that fit others only, and those that are not all here."""
    from studio.adapters._shelf import shelf

    found = shelf()
    ready = [adapter for adapter in found if adapter.ready]
    fitting = [adapter for adapter in ready if one is None or not adapter.misfit(one)]
    return fitting, [each for each in ready if each not in fitting], [each for each in found if not each.ready]


def adapter_choices(fitting: list[Shelved], chosen: str) -> Choices:
    """The entries of the menu, the one that suits the model first."""
    names = [adapter.name for adapter in fitting]
    if chosen not in (AUTO, *names):
        names.append(chosen)
    return [(words.ADAPTER_AUTO, AUTO), *((words.ADAPTER_TITLES.get(name, Path(name).name), name) for name in names)]


def adapter_line(adapter: str, others: list[Shelved], missing: list[Shelved]) -> str:
    """What an adapter does, and why some are not in the menu."""
    said = [words.ADAPTER_ABOUT[adapter]] if adapter in words.ADAPTER_ABOUT else []
    if others:
        said.append(words.ADAPTERS_OF_OTHERS.format(names=", ".join(one.name for one in others)))
    if missing:
        names = [f"{one.name} ({gigabytes(one.download)})" if one.download else one.name for one in missing]
        said.append(words.ADAPTERS_MISSING.format(names=", ".join(names)))
    return " ".join(said)


def settled(chosen: str, adapter: str) -> str:
    """The adapter that "as suits the model" stands for."""
    if adapter != AUTO:
        return adapter
    if chosen == Recipe().model:
        return "word"  # what the page begins with, and torch is not needed to know it
    from studio.models import settled_adapter

    return settled_adapter(chosen, adapter)


def ear_choices(*also: str) -> Choices:
    """The ears that are on this machine, and those that a picture brought along."""
    from studio.encoders import ENCODERS
    from studio.encoders._weights import installed

    kinds = {name: ENCODERS.get(name).published for name in ENCODERS}
    here = [name for name, published in kinds.items() if published is None or installed(name, published) is not None]
    return [(words.EAR_TITLES.get(name, name), name) for name in dict.fromkeys((*here, *also))]


def spoken_fields(values: Mapping[str, Any], by_hand: bool = True) -> dict[str, Any]:
    """The fields of a recipe that the controls of the phrases set; none with an adapter that has no phrases.

    values: by the names of `ModelPanel.inputs`.  by_hand: whether phrases that were written count.
    """
    if settled(values["image_model"], values["adapter"]) != CONCEPTS:
        return {}
    fields = {name: values[name] for name in SPOKEN}
    fields["ear"] = None if fields["ear"] in (None, "", EAR) else fields["ear"]
    written = written_by_hand(values)
    return {**fields, "concepts": written} if by_hand and written else fields


def written_by_hand(values: Mapping[str, Any]) -> str | None:
    """The phrases that somebody wrote, None where those stand that the ear has said, or none."""
    text = (values["concepts"] or "").strip()
    return None if text in ("", (values["spoken"] or "").strip()) else text


def same_voice(carried: Recipe, values: Mapping[str, Any]) -> bool:
    """Whether a restored picture's own word may still be used, as far as model, adapter and phrases go."""
    chosen, adapter = values["image_model"], values["adapter"]
    settled_here = settled(chosen, adapter)
    if carried.model != chosen or settled(carried.model, carried.adapter) != settled_here:
        return False
    if settled_here != CONCEPTS:
        return True
    if written_by_hand(values):
        return False
    return all(getattr(carried, name) == value for name, value in spoken_fields(values).items())
