"""Adapters from a folder of pairs, on any image model and ear: losses fall, gradients go only where they belong, a
stopped run goes on, and what comes out draws.
"""

from __future__ import annotations

import json
import math
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from safetensors.torch import load_file

from studio.cli import main
from studio.data.pairs import Pairs
from studio.diffusion.prompt import embed, embed_each
from studio.encoders import ENCODERS
from studio.encoders.clap_2022 import Clap2022Config, Clap2022Ear, Clap2022Network
from studio.engine import Engine
from studio.errors import InputError
from studio.recipe import Recipe
from studio.sound.write import write_wav
from studio.training import ADAPTER_KINDS
from studio.training.loop import LoopOptions, train
from studio.training.pair_recipes import PAIR_TRAINING, PairWork, build, train_on_pairs
from studio.training.pair_task import PairTask
from tests.ears import write_checkpoint
from tests.models import build_tiny_stable_diffusion, fingerprint, noise, tone
from tests.real_forms import FORMS

# Which tiny image model and ear each kind is tried on: every form of both, and the ear that is published for a kind.
TRIED = {
    "word": ("tiny-sdxl", "tiny-ear", 1e-2),
    "audiotoken": ("tiny-sd2", "beats", 1e-2),
    "gated": ("tiny", "clap-2022", 3e-2),
    "context": ("tiny-pixart", "ast", 1e-2),
}


def make_pairs(folder: Path, count: int = 5, texts: bool = True) -> Path:
    """High tones with red pictures, low ones with blue, and a long one of each."""
    for part in ("sounds", "images"):
        (folder / part).mkdir(parents=True)
    labels, captions = {}, {}
    for number in range(count):
        high = number % 2 == 0
        name, seconds = f"{'high' if high else 'low'} {number}", 0.5
        write_wav(tone(seconds, hertz=(1500.0 if high else 200.0) + number), folder / "sounds" / f"{name}.wav")
        colour = (220, 30 + number, 20) if high else (20, 30 + number, 220)
        Image.new("RGB", (80, 64), colour).save(folder / "images" / f"{name}.png")
        labels[name] = "dog" if high else "sea"
        captions[name] = f"a {'red' if high else 'night'} street (sea)"
    if texts:
        (folder / "labels.json").write_text(json.dumps(labels))
        (folder / "captions.json").write_text(json.dumps(captions))
    return folder


@pytest.fixture(scope="module")
def pairs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_pairs(tmp_path_factory.mktemp("pairs") / "pairs")


@pytest.fixture
def work(
    pairs: Path, tiny_folder: Path, tiny_plugins: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[[str], PairWork]:
    """What a kind is tried on; the ear's tiny weights are installed."""
    monkeypatch.setenv("HEARSIGHT_MODELS", str(tmp_path / "weights"))

    def made(kind: str) -> PairWork:
        form, ear, _ = TRIED[kind]
        if ear != "tiny-ear" and not (tmp_path / "weights").exists():
            write_checkpoint(ear, tmp_path / "weights" / "encoders" / ear)
        model = tiny_folder if form == "tiny" else tmp_path / form
        if not model.exists():
            FORMS[form](model)
        return PairWork(pairs, tmp_path / "runs", str(model), ear, size=64)

    return made


def measure(task: PairTask) -> float:
    """The loss on fixed draws, without dropout."""
    for module in task.modules.values():
        module.eval()
    with torch.no_grad():
        losses = [task.loss(0, torch.Generator().manual_seed(seed), 8)["loss"] for seed in range(3)]
    for module in task.modules.values():
        module.train()
    return float(torch.stack(losses).mean())


def test_every_kind_is_tried() -> None:
    assert set(TRIED) == set(PAIR_TRAINING) == set(ADAPTER_KINDS)


@pytest.mark.parametrize("kind", TRIED)
def test_the_loss_falls_and_only_the_adapter_learns(kind: str, work: Callable[[str], PairWork]) -> None:
    there = work(kind)
    torch.manual_seed(0)
    task = build(kind, there)
    frozen = [*task.backbone.modules().values(), task.parts.ear]
    before = [fingerprint(module) for module in frozen if isinstance(module, torch.nn.Module)]
    for progress in (0.0, 1.0):
        task.progress = progress
        task.loss(0, torch.Generator().manual_seed(0), 8)["loss"].backward()
        reached = {
            name: any(p.grad is not None and bool(p.grad.any()) for p in module.parameters())
            for name, module in task.modules.items()
        }
        waiting = kind == "gated" and progress == 0  # its first stage is the projector's
        assert reached == {name: not (waiting and name == "layers") for name in task.modules}
        for module in task.modules.values():
            module.zero_grad(set_to_none=True)
    first = measure(task)
    options = LoopOptions(steps=14, batch_size=8, learning_rate=TRIED[kind][2], warmup=2, ema=0.5)
    scores = train(task, there.folder(kind), options)
    task.progress = 1.0
    assert measure(task) < first
    assert set(scores) == {"held_out", "with_another_sound"}
    assert [fingerprint(module) for module in frozen if isinstance(module, torch.nn.Module)] == before
    assert all(p.grad is None for module in frozen if isinstance(module, torch.nn.Module) for p in module.parameters())
    recipe = Recipe(
        model=there.model,
        adapter=str(there.folder(kind) / "export"),
        seed=1,
        num_inference_steps=2,
        width=64,
        height=64,
    )
    result = Engine("cpu").run(recipe, noise())
    assert result.images[0].size == (64, 64)
    assert result.recipe.word is not None or result.recipe.sound_tokens is not None


def test_a_stopped_run_ends_where_an_unstopped_one_does(
    work: Callable[[str], PairWork], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Dropout included. What was heard and encoded is not computed again."""
    there = work("word")
    wishes: dict[str, Any] = {"steps": 6, "batch_size": 4, "warmup": 1}
    train_on_pairs("word", there, **wishes)
    whole = load_file(there.folder("word") / "export" / "model.safetensors")
    shutil.rmtree(there.folder("word"))
    monkeypatch.setattr(ENCODERS.get("tiny-ear"), "encode", None)
    loss = PairTask.loss

    def stopping(task: PairTask, step: int, generator: torch.Generator, batch_size: int) -> Any:
        if step == 3:
            raise KeyboardInterrupt
        return loss(task, step, generator, batch_size)

    monkeypatch.setattr(PairTask, "loss", stopping)
    with pytest.raises(KeyboardInterrupt):
        train_on_pairs("word", there, **wishes)
    monkeypatch.setattr(PairTask, "loss", loss)
    train_on_pairs("word", there, **wishes)
    cut = load_file(there.folder("word") / "export" / "model.safetensors")
    assert all(torch.equal(whole[name], cut[name]) for name in whole)
    with pytest.raises(InputError, match="of another form, so it cannot go on"):
        train_on_pairs("word", PairWork(there.data, there.runs, there.model, "tiny-ear", size=64, vectors=2), **wishes)


@pytest.mark.parametrize("kind", ["word", "audiotoken"])
def test_the_losses_are_the_published_ones(kind: str, work: Callable[[str], PairWork]) -> None:
    """Written out: noise is mixed in, the frozen model is asked under "a photo of A*", and the word is held."""
    torch.manual_seed(1)
    task: Any = build(kind, work(kind))
    for module in task.modules.values():
        module.eval()
    heard, pairs = task.parts.heard.batch([0, 1], "cpu"), list(task.parts.pairs.pairs[:2])
    latents = task.latents([0, 1])
    with torch.no_grad():
        words = task.words(heard)
        losses = task.losses(heard, pairs, latents, torch.Generator().manual_seed(4))
        draw = torch.Generator().manual_seed(4)
        noise = torch.randn(latents.shape, generator=draw)
        scheduler = task.backbone.scheduler()
        times = ((torch.arange(2) + torch.rand(2, generator=draw)) / 2 * len(scheduler.alphas_cumprod)).long()
        noisy = scheduler.add_noise(latents, noise, times)
        velocity = scheduler.config.prediction_type == "v_prediction"
        wanted = scheduler.get_velocity(latents, noise, times) if velocity else noise
        errors = []
        for row in range(2):
            states = embed(task.backbone, ["a photo of A*"], words[row])
            predicted = task.backbone.predict(noisy[row : row + 1], times[row], states)
            errors.append(float((predicted - wanted[row]).square().mean()))
    assert float(losses["denoising"]) == pytest.approx(sum(errors) / 2, rel=0.02)  # bfloat16 on some processors
    if kind == "audiotoken":  # eps-MSE + 0.01 mean|token| + 0.01 (1 - cos(token, the label's mean embedding))^2
        table = task.backbone.token_embedding.weight
        named = [table[task.backbone.token_ids(pair.label)].mean(0) for pair in pairs]
        away = [1 - torch.cosine_similarity(words[row, 0], named[row], dim=0) for row in range(2)]
        held = [0.01 * words.abs().mean(), 0.01 * (away[0] ** 2 + away[1] ** 2) / 2]
        assert [float(losses["magnitude"]), float(losses["classification"])] == pytest.approx([*map(float, held)])
    parts = [float(value) for name, value in losses.items() if name != "loss"]
    assert float(losses["loss"]) == pytest.approx(sum(parts), rel=1e-4)


def test_the_gated_stages_are_the_published_ones(work: Callable[[str], PairWork]) -> None:
    """InfoNCE with other labels as negatives and the squared error to the text; then denoising under no text, with the
    projector at a tenth of the layers' rate.
    """
    there = work("gated")
    task: Any = build("gated", there)
    task.progress = 0.0
    first = task.loss(0, torch.Generator().manual_seed(0), 8)
    assert set(first) == {"loss", "infonce", "alignment"}
    assert float(first["loss"]) == pytest.approx(float(first["infonce"] + first["alignment"]), rel=1e-5)
    # Two labels: at most log 2 for sounds that cannot be told apart, in both directions.
    assert 0 <= float(first["infonce"]) < 3 * math.log(2)
    assert task.rates.get("layers", 1.0) == task.rates["projector"] == 1
    task.progress = 1.0
    assert set(task.loss(0, torch.Generator().manual_seed(0), 4)) == {"loss"}
    assert task.rates.get("layers", 1.0) == 1 and task.rates["projector"] == 0.1  # 1e-4 and 1e-5
    assert torch.equal(task.empty.tokens, embed(task.backbone, [""], torch.zeros(0, 32)).tokens)


def test_the_gated_form_that_is_published_is_trained(
    pairs: Path, tiny_plugins: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With Microsoft's CLAP and text states 768 wide: the published projector, and gates that begin at 0.1."""
    monkeypatch.setenv("HEARSIGHT_MODELS", str(tmp_path / "weights"))
    config = Clap2022Config(channels=(2, 3, 4, 4, 5, 6), hidden=10)
    write_checkpoint("clap-2022", tmp_path / "small")
    ear = Clap2022Ear(config, Clap2022Network(config))
    state = Clap2022Ear.load(tmp_path / "small").network.state_dict()
    ear.network.load_state_dict(ear.network.state_dict() | {k: v for k, v in state.items() if "projection" not in k})
    ear.save(tmp_path / "weights" / "encoders" / "clap-2022")
    model = build_tiny_stable_diffusion(tmp_path / "model", width=768)
    there = PairWork(pairs, tmp_path / "runs", str(model), "clap-2022", size=64)
    task: Any = build("gated", there)
    assert (task.adapter.config.projector, task.adapter.config.count, task.adapter.config.width) == ("sonic", 77, 768)
    gates = [float(value) for name, value in task.adapter.named_parameters() if "gate_adapter" in name]
    assert gates == pytest.approx([0.1] * 3)
    before = {name: value.clone() for name, value in task.adapter.state_dict().items()}
    scores = train(task, there.folder("gated"), LoopOptions(steps=2, batch_size=2, warmup=1))
    assert all(math.isfinite(score) for score in scores.values())
    learned = {name for name, value in task.adapter.state_dict().items() if not torch.equal(value, before[name])}
    # The first three of its four blocks say nothing, as published.
    assert not any(f"_attention.{block}." in name for name in learned for block in (0, 1, 2))
    assert any("_attention.3." in name for name in learned) and any("gate_adapter" in name for name in learned)
    again: Any = build("gated", replace(there, init=there.folder("gated") / "export"))
    assert again.adapter.config == task.adapter.config


def test_the_rate_of_audiotoken_is_for_each_sample_of_a_step(work: Callable[[str], PairWork]) -> None:
    there = work("audiotoken")
    train_on_pairs("audiotoken", there, steps=1, batch_size=2, accumulate=3)
    options = json.loads((there.folder("audiotoken") / "options.json").read_text())["loop"]
    assert options["learning_rate"] == pytest.approx(6e-5) and options["weight_decay"] == 0.01
    assert (options["batch_size"], options["accumulate"]) == (2, 3)


def test_published_defaults() -> None:
    audiotoken, context, gated = (PAIR_TRAINING[kind] for kind in ("audiotoken", "context", "gated"))
    assert (audiotoken.ear, audiotoken.seconds, audiotoken.rate) == ("beats", 5.0, 1e-5)
    assert (context.ear, context.seconds) == ("ast", 5.0)
    assert (context.defaults["learning_rate"], context.defaults["weight_decay"]) == (3.16e-5, 3e-2)
    assert (gated.ear, gated.defaults["learning_rate"], gated.defaults["batch_size"]) == ("clap-2022", 1e-4, 6)
    assert audiotoken.defaults["steps"] == 30_000 and audiotoken.defaults["weight_decay"] == 1e-2
    assert gated.defaults["weight_decay"] == 1e-2


def test_long_sounds_are_heard_in_several_pieces(work: Callable[[str], PairWork], tmp_path: Path) -> None:
    there = work("word")
    long = make_pairs(tmp_path / "long", 4, texts=False)
    write_wav(tone(25.0), long / "sounds" / "high 0.wav")
    task = build("word", PairWork(long, there.runs, there.model, there.ear, size=64, vectors=2))
    assert [len(pieces) for pieces in task.parts.heard.pieces] == [4, 1, 1, 1]
    losses = task.loss(0, torch.Generator().manual_seed(0), 4)
    assert set(losses) == {"loss"}  # nothing says what the pairs are in words
    assert len(task.training) == 3 and len(task.held_out) == 1


def test_one_prompt_with_a_word_for_each_row(tiny_backbone: Any) -> None:
    words = torch.randn(3, 2, tiny_backbone.dims.text_width, requires_grad=True)
    states = embed_each(tiny_backbone, "A* in the style of A*", words).tokens
    alone = torch.cat([embed(tiny_backbone, ["A* in the style of A*"], word.detach()).tokens for word in words])
    torch.testing.assert_close(states, alone)
    states[1].square().sum().backward()
    assert words.grad is not None and [bool(row.any()) for row in words.grad] == [False, True, False]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda at: shutil.rmtree(at / "sounds"), "has no folder 'sounds' in it"),
        (lambda at: (at / "images" / "low 1.png").unlink(), "'low 1.wav' has no picture in images of the same name"),
        (lambda at: (at / "sounds" / "low 1.wav").unlink(), "'low 1.png' has no sound in sounds of the same name"),
        (lambda at: (at / "images" / "notes.txt").touch(), "images/notes.txt is no picture"),
        (lambda at: (at / "sounds" / "notes.txt").touch(), "sounds/notes.txt is no sound"),
        (lambda at: (at / "images" / "low 1.jpg").touch(), "keep one of that name"),
        (lambda at: (at / "labels.json").write_text("{"), "labels.json cannot be read as JSON"),
        (lambda at: (at / "labels.json").write_text("[]"), "labels.json must be an object"),
        (lambda at: (at / "labels.json").write_text('{"low 1": "sea"}'), "does not name the pair, 'high 0'"),
        (lambda at: (at / "captions.json").write_text('{"high 0": " ", "low 1": "x"}'), "says nothing in words"),
    ],
)
def test_bad_folders_are_refused_in_one_sentence(
    change: Callable[[Path], Any], message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = make_pairs(tmp_path / "pairs", 2)
    change(folder)
    with pytest.raises(InputError, match=message):
        Pairs.load(folder)
    assert main(["train", "adapter", "--data", str(folder), "--runs", str(tmp_path / "runs"), "--steps", "1"]) == 2
    assert len(capsys.readouterr().err.strip().splitlines()) <= 2  # which device, and the sentence
    assert not (tmp_path / "runs").exists()


def test_the_command(work: Callable[[str], PairWork], capsys: pytest.CaptureFixture[str]) -> None:
    there = work("word")
    asked = ["--data", str(there.data), "--runs", str(there.runs), "--model", there.model, "--ear", "tiny-ear"]
    few = ["--steps", "1", "--batch-size", "2", "--size", "64", "--device", "cpu"]
    assert main(["train", "adapter", "--kind", "word", *asked, *few]) == 0
    assert f"The model is in {there.folder('word') / 'export'}" in capsys.readouterr().out
    assert main(["train", "adapter", "--kind", "context", *asked, *few]) == 2
    assert "has no transformer" in capsys.readouterr().err
    assert main(["train", "ear", *asked, *few]) == 2
    assert "are for adapters only" in capsys.readouterr().err


def test_kinds_for_pairs_only_say_so(tiny_data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", "adapter", "--kind", "context", "--data", str(tiny_data)]) == 2
    assert "trains on a folder of pairs" in capsys.readouterr().err
    assert main(["train", "adapter", "--model", "pocket", "--data", str(tiny_data)]) == 2
    assert "holds no pairs" in capsys.readouterr().err
