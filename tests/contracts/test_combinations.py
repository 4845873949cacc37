"""Every ear, adapter and form of image model together: what fits draws, what does not is refused in a sentence.

Adapters that need training are made here with random weights, for the ear and the image model at hand.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
from PIL import Image

from studio.adapters import ADAPTERS
from studio.adapters.audiotoken import AudioTokenAdapter, AudioTokenConfig, Embedder
from studio.adapters.base import Adapter
from studio.adapters.context import ContextAdapter, ContextConfig
from studio.adapters.gated import GatedAdapter, GatedConfig
from studio.adapters.gated_layers import gated_places
from studio.adapters.word import WordAdapter, WordConfig
from studio.backbones.base import Backbone
from studio.encoders.base import Encoder, SoundEmbedding, TextAligned
from studio.engine import Engine
from studio.errors import InputError
from studio.recipe import Edit, Recipe
from tests.contracts.conftest import NAMES
from tests.ears import lively
from tests.models import fingerprint, noise, tiny_plugins, tone
from tests.real_forms import FORMS

EARS, KINDS = NAMES["encoder"], ADAPTERS.names()
SOUNDS = [noise(2.0, seed=3), tone(0.7), noise(0.6)]  # of different lengths, so that a batch is filled up
WIDTH, HEIGHT = 80, 64


@pytest.fixture(scope="module")
def engine(ears_home: Path) -> Iterator[Engine]:
    """An engine that finds tiny weights of every ear."""
    with pytest.MonkeyPatch.context() as patch, tiny_plugins():
        patch.setenv("HEARSIGHT_MODELS", str(ears_home))
        yield Engine("cpu")


@pytest.fixture(scope="module", params=["tiny", *FORMS])
def model(
    request: pytest.FixtureRequest, tiny_folder: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[str, Path]:
    """A form of image model and its folder."""
    if request.param == "tiny":
        return request.param, tiny_folder
    return request.param, FORMS[request.param](tmp_path_factory.mktemp("form") / request.param)


def word(backbone: Backbone, ear: Encoder, _count: int) -> WordAdapter:
    return lively(
        WordAdapter(WordConfig(ear.name, ear.dim, backbone.dims.text_width, vectors=2, hidden=16, scale=5.0))
    )


def audiotoken(backbone: Backbone, ear: Encoder, _count: int) -> AudioTokenAdapter:
    width = backbone.dims.text_width
    return AudioTokenAdapter(AudioTokenConfig(ear.name, ear.dim, width), lively(Embedder(ear.dim, width)), {})


def gated(backbone: Backbone, ear: Encoder, _count: int) -> GatedAdapter:
    """For an image model without a U-Net the places are those of another one."""
    places = gated_places(backbone.modules().get("unet", torch.nn.Identity()))
    text, read = backbone.dims.text_width, backbone.dims.context_width
    config = GatedConfig(places, ear.name, "tokens", ear.dim, count=3, width=read, hidden=16, text_width=text)
    adapter: GatedAdapter = lively(GatedAdapter(config))
    for name, parameter in adapter.named_parameters():
        if "gate" in name:
            torch.nn.init.constant_(parameter, 2.0)
    return adapter


def context(backbone: Backbone, ear: Encoder, count: int) -> ContextAdapter:
    width = getattr(backbone.modules().get("transformer"), "inner_dim", 24)
    return lively(ContextAdapter(ContextConfig(ear.name, ear.dim, count, width), backbone.dims.text_width))


MADE: dict[str, Callable[[Backbone, Encoder, int], Adapter]] = {
    "word": word,
    "audiotoken": audiotoken,
    "gated": gated,
    "context": context,
}


def heard_by(engine: Engine, name: str) -> tuple[Encoder, SoundEmbedding]:
    ear = engine._hearing.ear(name)
    return ear, ear.encode(SOUNDS)


def recipe_for(engine: Engine, kind: str, ear_name: str, model: tuple[str, Path], folder: Path) -> Recipe:
    """A recipe with an adapter of that kind between that ear and that image model."""
    recipe = Recipe(
        model=str(model[1]), prompt="a photo of (A*:1.2) at night", negative_prompt="", seed=3, num_inference_steps=1,
        width=WIDTH, height=HEIGHT, preview_every=0, guidance_scale=3.0,
    )  # fmt: skip
    if kind == "concepts":
        return recipe.replace(adapter="concepts", ear=ear_name)
    ear, heard = heard_by(engine, ear_name)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(5)
        made = MADE[kind](engine._models.backbone(recipe.model), ear, heard.tokens.shape[1])
    made.save(folder)  # type: ignore[attr-defined]  # each of these has it
    return recipe.replace(adapter=str(folder))


def refused(kind: str, ear: Encoder, form: str) -> str | None:
    """How the sentence goes when the three do not go together; None when they do."""
    if kind == "concepts" and not (ear.labels or isinstance(ear, TextAligned)):
        return f"The ear {ear.name!r} names nothing"
    if kind == "gated" and form == "tiny-pixart":
        return "has no U-Net"
    if kind == "context" and form != "tiny-pixart":
        return "has no transformer"
    return None


def test_every_adapter_is_in_the_table() -> None:
    assert set(MADE) | {"concepts"} == {name for name in KINDS if not name.startswith("tiny")}


@pytest.mark.parametrize("kind", [*MADE, "concepts"])
def test_every_ear_draws_with_every_adapter_on_every_form(
    kind: str, model: tuple[str, Path], engine: Engine, tmp_path: Path
) -> None:
    """Each sound has a picture of its own, the second time the same; what does not go together is one sentence."""
    backbone = engine._models.backbone(str(model[1]))
    before = {name: fingerprint(part) for name, part in backbone.modules().items()}
    transformer = "transformer" in backbone.modules()
    apart = kind == {True: "gated", False: "context"}[transformer]  # with any ear: one shows it
    for number, ear in enumerate(EARS[:1] if apart else EARS):
        recipe = recipe_for(engine, kind, ear, model, tmp_path / ear)
        sentence = refused(kind, engine._hearing.ear(ear), model[0])
        if sentence is not None:
            with pytest.raises(InputError) as caught:
                engine.run(recipe, SOUNDS[0])
            assert sentence in str(caught.value) and "\n" not in str(caught.value)
            continue
        if kind == "context" and ear in ("pocket", "beats"):
            with pytest.raises(InputError, match="patches, and this adapter reads"):  # longer sounds have more of them
                engine.run(recipe, SOUNDS[1])
            continue
        made = engine.run(recipe, SOUNDS[0])
        assert made.images[0].size == (WIDTH, HEIGHT), ear
        if kind != "concepts" or ear == "pocket":  # random ears may think of the same phrases
            other = engine.resolve(recipe, SOUNDS[1])[0]
            assert (made.recipe.word, made.recipe.sound_tokens) != (other.word, other.sound_tokens), ear
        if number == 0:
            assert engine.run(recipe, SOUNDS[0]).images[0].tobytes() == made.images[0].tobytes()
    backbone = engine._models.backbone(str(model[1]))
    assert {name: fingerprint(part) for name, part in backbone.modules().items()} == before


@pytest.mark.parametrize("ear", EARS)
@pytest.mark.parametrize("kind", MADE)
def test_what_fills_a_batch_up_is_not_heard(kind: str, ear: str, engine: Engine, tiny_backbone: Backbone) -> None:
    """Shapes, sounds of three lengths together as each alone, and whatever stands where the mask says "no sound"."""
    listener, heard = heard_by(engine, ear)
    count = heard.tokens.shape[1]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(5)
        adapter = MADE[kind](tiny_backbone, listener, count)
    assert isinstance(adapter, torch.nn.Module)
    adapter.eval()
    said = adapter.condition(heard)
    assert (len(said.word), said.word.shape[2]) == (3, tiny_backbone.dims.text_width)
    assert (said.tokens is not None) == adapter.beside
    parts = [part for part in (said.word, said.tokens) if part is not None]
    assert all(part.dtype == torch.float32 and torch.isfinite(part).all() for part in parts)
    for row in range(3):
        alone = adapter.condition(heard.one(row))
        assert torch.allclose(alone.word[0], said.word[row], atol=1e-5)
        if said.tokens is not None and alone.tokens is not None:
            assert torch.allclose(alone.tokens[0], said.tokens[row], atol=1e-5)
    if kind == "context":  # reads whole windows, as in training: silence behind a sound is silence that it hears
        return
    noisy = heard.tokens.masked_fill(~heard.mask[..., None], 7.0)
    again = adapter.condition(SoundEmbedding(noisy, heard.mask, heard.pooled, heard.logits))
    assert torch.equal(again.word, said.word)
    assert said.tokens is None or (again.tokens is not None and torch.equal(again.tokens, said.tokens))


@pytest.mark.parametrize("kind", [*MADE, "concepts"])
def test_null_guidance_and_batches_of_every_adapter(
    kind: str, model: tuple[str, Path], engine: Engine, tmp_path: Path
) -> None:
    """At strength 0 no sound is left; strength and guidance act; two pictures at once are two single ones."""
    ear = {"context": "ast", "gated": "clap-2022", "audiotoken": "beats"}.get(kind, "pocket")
    recipe = recipe_for(engine, kind, ear, model, tmp_path / kind).replace(num_inference_steps=2)
    if (sentence := refused(kind, engine._hearing.ear(ear), model[0])) is not None:
        with pytest.raises(InputError, match=sentence):
            engine.run(recipe, SOUNDS[0])
        return

    def drawn(sound: int, **changes: object) -> bytes:
        return engine.run(recipe.replace(**changes), SOUNDS[sound]).images[0].tobytes()

    plain = drawn(0)
    silent = drawn(0, sound_strength=0.0)
    assert silent == drawn(1, sound_strength=0.0) != plain
    assert len({silent, plain, drawn(0, sound_strength=0.5), drawn(0, sound_strength=2.0)}) == 4
    assert drawn(0, guidance_scale=6.0) != plain
    both = engine.run(recipe.replace(count=2), SOUNDS[0])
    assert [one.tobytes() for one in both.images] == [plain, drawn(0, seed=4)]
    assert engine.run(both.recipes[1]).images[0].tobytes() == both.images[1].tobytes()


@pytest.mark.parametrize("kind", ["gated", "context"])
def test_what_takes_part_in_the_denoising_edits_photos_too(
    kind: str, model: tuple[str, Path], engine: Engine, tmp_path: Path
) -> None:
    """Beside the text by every method that the form has, in the text's place by the one that needs no U-Net."""
    form, folder = model
    ear = {"context": "ast", "gated": "tiny-ear"}[kind]
    photo = Image.linear_gradient("L").resize((WIDTH, HEIGHT)).convert("RGB")
    recipe = recipe_for(engine, kind, ear, model, tmp_path / kind).replace(num_inference_steps=3)
    if (sentence := refused(kind, engine._hearing.ear(ear), form)) is not None:
        with pytest.raises(InputError, match=sentence):
            engine.run(recipe.replace(edit=Edit(method="sdedit")), SOUNDS[0], photo=photo)
        return
    backbone = engine._models.backbone(str(folder))
    before = {name: fingerprint(part) for name, part in backbone.modules().items()}
    for method in ("sdedit",) if kind == "context" else ("pnp", "sdedit"):
        edit = recipe.replace(edit=Edit(method=method))
        made = engine.run(edit, SOUNDS[0], photo=photo)
        again = engine.run(made.recipe.replace(model=recipe.model, adapter=recipe.adapter), photo=photo)
        assert again.images[0].tobytes() == made.images[0].tobytes(), method
        assert engine.run(edit, SOUNDS[1], photo=photo).images[0].tobytes() != made.images[0].tobytes(), method
        still = [engine.run(edit.replace(sound_strength=0.0), one, photo=photo) for one in SOUNDS[:2]]
        assert still[0].images[0].tobytes() == still[1].images[0].tobytes(), method
    if kind == "context":
        with pytest.raises(InputError, match=r"has no U-Net.*use sdedit"):
            engine.run(recipe.replace(edit=Edit()), SOUNDS[0], photo=photo)
    backbone = engine._models.backbone(str(folder))
    assert {name: fingerprint(part) for name, part in backbone.modules().items()} == before


@pytest.mark.parametrize("method", ["pnp", "p2p", "sdedit"])
def test_every_editing_method_on_every_form(
    method: str, model: tuple[str, Path], engine: Engine, tmp_path: Path
) -> None:
    """What is held acts in each structure of U-Net, and nothing stays behind; without a U-Net sdedit remains."""
    form, folder = model
    photo = Image.linear_gradient("L").resize((WIDTH, HEIGHT)).convert("RGB")
    photo.paste((240, 200, 40), (20, 16, 44, 40))
    photo.save(tmp_path / "photo.png")
    edit = Edit.of(tmp_path / "photo.png", method=method, source_prompt="a photo of a dog at night")
    recipe = recipe_for(engine, "word", "tiny-ear", model, tmp_path / "word").replace(num_inference_steps=4, edit=edit)
    backbone = engine._models.backbone(str(folder))
    before = {name: fingerprint(part) for name, part in backbone.modules().items()}
    if form == "tiny-pixart" and method != "sdedit":
        with pytest.raises(
            InputError, match="has no U-Net, so a photo cannot be edited with it by its layers: use sdedit"
        ):
            engine.run(recipe, SOUNDS[0])
        return
    made = engine.run(recipe, SOUNDS[0])
    assert made.images[0].size == (WIDTH, HEIGHT)
    assert made.read is not None and (made.read.psnr is not None) == (method != "sdedit")
    assert engine.run(recipe, SOUNDS[0]).images[0].tobytes() == made.images[0].tobytes()
    assert engine.run(recipe, SOUNDS[1]).images[0].tobytes() != made.images[0].tobytes()
    names = ("noise",) if method == "sdedit" else ("keep_layout", "keep_detail")
    for name in names:
        other = engine.run(recipe.replace(edit=edit.replace(**{name: 0.3})), SOUNDS[0])
        assert other.images[0].tobytes() != made.images[0].tobytes(), name
    assert {name: fingerprint(part) for name, part in backbone.modules().items()} == before
