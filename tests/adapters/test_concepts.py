"""Concepts: phrases instead of training, on every form of image model."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from studio.adapters._phrases import PhraseBook, phrase_of
from studio.adapters.concepts import ConceptsAdapter
from studio.backbones import load_backbone
from studio.backbones.base import Backbone
from studio.device import pick_device
from studio.diffusion.prompt import embed
from studio.encoders import ENCODERS
from studio.encoders.base import Encoder, SoundEmbedding, TextAligned
from studio.engine import Engine
from studio.errors import HearsightError, InputError
from studio.library.png import read_recipe, save_png
from studio.paths import presets_folder
from studio.recipe import Recipe, Track
from studio.word import pack_word, spread_words, unpack_word
from tests.ears import write_checkpoint
from tests.models import WORDS, TinyEar, noise, tone
from tests.real_forms import FORMS


def between(backbone: Backbone, ear: Encoder | None = None, **settings: Any) -> ConceptsAdapter:
    adapter = ConceptsAdapter.load(None, backbone.dims).between(backbone, ear, Recipe(**settings))
    assert isinstance(adapter, ConceptsAdapter)
    return adapter


@pytest.fixture
def tiny_ear(tiny_plugins: None) -> TinyEar:
    return TinyEar.load()


@pytest.mark.parametrize("form", ["tiny", *FORMS])
def test_one_phrase_is_the_phrase_itself(form: str, tiny_backbone: Backbone, tmp_path: Path) -> None:
    """Bit for bit what writing it gives, in both text encoders of SDXL and in T5 too."""
    backbone = tiny_backbone if form == "tiny" else load_backbone(str(FORMS[form](tmp_path)), pick_device("cpu"))
    for phrase in ("rain", "red dog", "street at night"):
        word = between(backbone).say(((phrase, 0.4),))
        assert len(word) == len(backbone.token_ids(phrase))
        ours = embed(backbone, ["a photo of A* in the style"], word)
        written = embed(backbone, [f"a photo of {phrase} in the style"], word[:0])
        assert torch.equal(ours.tokens, written.tokens)
        assert ours.pooled is None or (written.pooled is not None and torch.equal(ours.pooled, written.pooled))


def test_a_mixture_lies_between_and_turns_with_the_weights(tiny_backbone: Backbone) -> None:
    adapter = between(tiny_backbone)
    short = [word for word in WORDS.split() if len(tiny_backbone.token_ids(word)) == 1]
    one, other, *_ = short
    rain, dog = (adapter.say(((phrase, 1.0),))[0] for phrase in (one, other))
    cosines = []
    for weight in (0.9, 0.5, 0.1):
        (word,) = adapter.say(((one, weight), (other, 1 - weight)))
        assert float(word.norm()) == pytest.approx(
            weight * float(rain.norm()) + (1 - weight) * float(dog.norm()), rel=1e-5
        )
        cosines.append(float(torch.cosine_similarity(word, rain, dim=0)))
    assert cosines == sorted(cosines, reverse=True)
    assert len(adapter.say(((one, 0.5), (f"{one} {other}", 0.5)))) == 2
    assert torch.equal(adapter.say(((one, 1.0), (f"{one} {other}", 0.0)))[0], rain)


def embedding_of(ear: TinyEar, probabilities: list[float]) -> SoundEmbedding:
    heard = ear.encode([tone()])
    return SoundEmbedding(heard.tokens, heard.mask, heard.pooled, torch.tensor([probabilities]).log())


def test_top_k_and_temperature(tiny_backbone: Backbone, tiny_ear: TinyEar) -> None:
    heard = embedding_of(tiny_ear, [0.6, 0.3, 0.1])  # rain, dog, sea

    def made(top_k: int, temperature: float) -> dict[str, float]:
        (concepts,) = between(tiny_backbone, tiny_ear, top_k=top_k, temperature=temperature).condition(heard).concepts
        return dict(concepts)

    assert made(3, 1.0) == pytest.approx({"rain": 0.6, "dog": 0.3, "sea": 0.1}, abs=1e-3)
    assert made(2, 1.0) == pytest.approx({"rain": 0.667, "dog": 0.333}, abs=1e-3)
    assert made(1, 1.0) == {"rain": 1.0}
    assert made(3, 0.5) == pytest.approx({"rain": 0.783, "dog": 0.196, "sea": 0.022}, abs=1e-3)
    assert list(made(3, 0.1)) == ["rain"], "what hardly counts is left out"
    assert made(3, 3.0)["sea"] > 0.2


def test_labels_become_phrases() -> None:
    assert phrase_of("Vehicle horn, car horn, honking", {}) == "vehicle horn"
    assert phrase_of("Tapping (guitar technique)", {}) == "tapping"
    assert phrase_of("sea_waves", {}) == "sea waves"
    assert phrase_of("Silence", {"Silence": None}) is None


def test_several_labels_may_be_one_phrase(
    tiny_ear: TinyEar, tiny_backbone: Backbone, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "phrases").mkdir()
    monkeypatch.setenv("HEARSIGHT_PRESETS", str(tmp_path))
    file = tmp_path / "phrases" / "tiny-ear.json"
    file.write_text(json.dumps({"rain": "sea", "dog": None}))
    book = PhraseBook(tiny_ear)
    assert book.phrases == ("sea",)
    assert book.probabilities(embedding_of(tiny_ear, [0.6, 0.3, 0.1])).tolist() == [[pytest.approx(0.7)]]
    file.write_text(json.dumps({"rain": 3}))
    with pytest.raises(HearsightError, match=r"tiny-ear\.json is damaged: 'rain' must have a phrase or null"):
        PhraseBook(tiny_ear)
    file.write_text("[")
    with pytest.raises(HearsightError, match="is damaged"):
        PhraseBook(tiny_ear)


def test_the_shipped_phrases_belong_to_labels() -> None:
    folder = presets_folder() / "phrases"
    known = json.loads((folder / "pocket.json").read_text(encoding="utf-8"))
    assert set(known) <= set(ENCODERS.get("pocket").load().labels)
    for file in folder.glob("*.json"):
        values = json.loads(file.read_text(encoding="utf-8"))
        phrases = values["phrases"] if file.stem == "bank" else [one for one in values.values() if one]
        assert file.stem != "bank" or len(phrases) > 100
        assert all(0 < len(phrase) <= 60 and not set(phrase) & set(",:") for phrase in phrases)


def test_ears_that_know_any_text_hear_the_bank(
    tiny_backbone: Backbone, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "phrases").mkdir()
    bank = {"hear": "the sound of {}", "phrases": ["rain", "dog", "church bells", "cat"]}
    (tmp_path / "phrases" / "bank.json").write_text(json.dumps(bank))
    monkeypatch.setenv("HEARSIGHT_PRESETS", str(tmp_path))
    ear = ENCODERS.get("clap").load(write_checkpoint("clap", tmp_path))
    assert isinstance(ear, TextAligned)
    heard = ear.encode([tone(), noise()])
    book = PhraseBook(ear)
    assert book.phrases == ("rain", "dog", "church bells", "cat")
    plain = (ear.logit_scale * ear.similarity(heard, [f"the sound of {phrase}" for phrase in book.phrases])).softmax(
        -1
    )
    assert torch.allclose(book.probabilities(heard), plain, atol=1e-5)
    (first, _) = between(tiny_backbone, ear, top_k=1).condition(heard).concepts
    assert first == ((book.phrases[int(plain[0].argmax())], 1.0),)


def test_an_ear_that_names_nothing_is_refused(tiny_backbone: Backbone, tmp_path: Path) -> None:
    ear = ENCODERS.get("beats").load(write_checkpoint("beats", tmp_path))
    with pytest.raises(InputError, match="The ear 'beats' names nothing"):
        between(tiny_backbone, ear)


@pytest.fixture
def recipe(tiny_folder: Path) -> Recipe:
    return Recipe(model=str(tiny_folder), ear="tiny-ear", seed=3, num_inference_steps=2, preview_every=0)


def test_concepts_are_the_default_of_other_models(engine: Engine, recipe: Recipe, tmp_path: Path) -> None:
    """A folder, a sound, nothing trained: a picture that says what it is made of and replays without its sound."""
    made = engine.run(recipe, tone())
    assert made.recipe.adapter == "concepts"
    assert {phrase for phrase, _ in made.concepts} <= {"rain", "dog", "sea"}
    assert sum(share for _, share in made.concepts) == pytest.approx(1, abs=0.01)
    carried = read_recipe(save_png(made.images[0], made.recipes[0], tmp_path / "picture.png"))
    assert carried.concepts == made.recipe.concepts
    again = Engine("cpu").run(carried.replace(model=recipe.model))
    assert again.images[0].tobytes() == made.images[0].tobytes()
    assert again.concepts == made.concepts
    # What is written in the picture is what its A* is made of: typed in by hand it gives the same one.
    typed = Engine("cpu").run(carried.replace(model=recipe.model, word=None))
    assert typed.recipe.word == made.recipe.word


def test_words_by_hand(engine: Engine, recipe: Recipe) -> None:
    by_hand = recipe.replace(concepts="rain:1")
    made, other = engine.run(by_hand, tone()), engine.run(by_hand, noise())
    assert made.images[0].tobytes() == other.images[0].tobytes()
    assert made.concepts == (("rain", 1.0),) and made.heard
    written = engine.run(recipe.replace(prompt="a photo of rain A*", concepts="rain"), tone())
    assert written.images[0].tobytes() != made.images[0].tobytes()
    quiet = engine.run(by_hand.replace(tracks=(Track(gain=-20),)), tone())
    assert quiet.recipe.loudness is not None and quiet.images[0].tobytes() != made.images[0].tobytes()
    two = engine.run(by_hand.replace(tracks=(Track(pan=-1.0), Track(pan=1.0))), [tone(), noise()])
    assert two.recipe.word == made.recipe.word and two.recipe.shares is None and len(two.heard_tracks) == 2
    silent = engine.run(by_hand)  # no sound at all
    assert silent.images[0].tobytes() == made.images[0].tobytes() and not silent.heard


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"adapter": "tiny-word"}, "The adapter 'tiny-word' makes A* of what it has learned"),
        ({"concepts": "x" * 59}, "tokens, and this model reads 1 to 22"),
    ],
)
def test_what_cannot_be_written_by_hand(changes: dict[str, Any], said: str, engine: Engine, recipe: Recipe) -> None:
    asked = recipe.replace(**{"concepts": "rain:1", **changes})
    with pytest.raises(InputError, match=re.escape(said)):
        engine.run(asked, tone())


def test_morphs_and_places(engine: Engine, recipe: Recipe) -> None:
    """Sounds whose words are of different lengths meet; the ends of a morph are the single sounds' words."""
    two = recipe.replace(tracks=(Track(), Track()), join="morph", weights=(0.5, 0.5))
    clips = [tone(), noise()]
    single = [engine.resolve(recipe, clip)[0] for clip in clips]
    middle = engine.resolve(two, clips)[0]
    assert middle.concepts is not None
    for weights, expected in (((1, 0), single[0]), ((0, 1), single[1])):
        end = engine.resolve(two.replace(weights=weights), clips)[0]
        assert (end.word, end.concepts) == (expected.word, expected.concepts)
    placed = two.replace(join="mix", tracks=(Track(pan=-1.0), Track(pan=1.0)), weights=None)
    made = engine.run(placed, clips)
    lengths = [len(unpack_word(str(one.word))) for one in single]
    assert len(unpack_word(str(made.recipe.word))) == 2 * max(lengths)


def test_words_of_different_lengths_are_placed(
    engine: Engine, recipe: Recipe, tiny_backbone: Backbone, monkeypatch: pytest.MonkeyPatch
) -> None:
    adapter = between(tiny_backbone)
    short = next(word for word in WORDS.split() if len(tiny_backbone.token_ids(word)) == 1)
    first, second = ((short, 1.0),), ((f"{short} in the rain", 1.0),)
    words = iter([first, second])
    monkeypatch.setattr(ConceptsAdapter, "weigh", lambda self, probabilities: next(words))
    placed = recipe.replace(tracks=(Track(pan=-1.0), Track(pan=1.0)))
    made = engine.run(placed, [tone(), noise()]).recipe
    words_apart = [adapter.say(first).numpy(), adapter.say(second).numpy()]
    assert len(words_apart[0]) < len(words_apart[1])
    assert made.word == pack_word(np.concatenate(spread_words(words_apart)))


def test_pocket_keeps_its_own_word_adapter() -> None:
    from studio.models import settled_adapter

    assert settled_adapter("pocket", "auto") == "word"
    assert settled_adapter("pocket", "auto", "rain:1") == "concepts"
    assert settled_adapter("/models/sd15", "auto") == "concepts"
    assert settled_adapter("/models/sd15", "word") == "word"
