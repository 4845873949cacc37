"""The pocket model in four steps: a student U-Net learns to jump where the guided teacher walks.

Progressive distillation (Salimans & Ho 2022) of a guided model (Meng et al. 2023), in one stage and without an
adversary: from where the student stands, the teacher takes several small DDIM steps with its own guidance, and the
student learns the one velocity that leads to the same place. So the guidance is part of the student's weights, and a
picture of four steps takes four evaluations of the U-Net instead of forty. A seed gives nearly the picture that the
teacher makes of it: no noise is added on the way, which is what a preview of that picture needs.

A student of an earlier state of the teacher gives a better start than the teacher itself: what distillation changed
then is added to the teacher (task arithmetic, Ilharco et al. 2023).

The places are the student's own (as in DMD2's backward simulation, Yin et al. 2024): it starts from noise and jumps
up to the step it is to learn, so it learns to mend its own errors. No photos take part, only captions.

Letters: B samples, C latent channels, h x w latent size, L text positions, E context width.
"""

from __future__ import annotations

import copy
import itertools
import json
import shutil
from pathlib import Path

import numpy as np
import torch
from diffusers.models.attention_processor import AttnProcessor
from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel
from diffusers.schedulers.scheduling_ddim import DDIMScheduler
from torch import Tensor

from studio.backbones.base import TextStates
from studio.backbones.stable_diffusion import StableDiffusion
from studio.data.attributes import COLOURS, LIGHTS, TIMES, Attributes
from studio.data.shards import Vocabulary
from studio.errors import InputError
from studio.evaluation.bench import photo_prompt
from studio.evaluation.paint import paint_text
from studio.evaluation.sheets import save_grid
from studio.training.captions import STYLES, caption
from studio.training.image import SHEET, encode_text, forget_origin
from studio.training.loop import Task

STEPS = 4
TEACHER_STEPS = 3  # of the teacher for each of the student's
STYLED = 0.1  # share of the captions that name another style than a photo
SHARES = (0.5, 0.7, 1.0)  # of the picture's size that a photo has; captions say blurry, soft and sharp


class FewStepTask(Task):
    """The student's U-Net; everything else is the teacher's and stays as it is.

    teacher : a finished model with v-prediction; its default guidance and negative prompt are what is learned, at its
        native size. Raises InputError for one of another prediction.
    vocabulary : the nouns of the captions.
    """

    name = "pocket-fast"

    def __init__(self, teacher: StableDiffusion, vocabulary: Vocabulary, device: str = "cpu") -> None:
        if teacher.scheduler_config.get("prediction_type") != "v_prediction":
            raise InputError(
                f"The few-step model learns from models with v-prediction; {teacher.source.name} has "
                f"{teacher.scheduler_config.get('prediction_type', 'epsilon')!r}. Give another one with --init."
            )
        # It learns to draw wholes, at the native size. Where the teacher draws larger pictures in stages, so will it.
        self.begin_size = None if teacher.defaults.begin_size is None else teacher.defaults.native_size
        teacher.defaults = teacher.defaults.replace(begin_size=None, picture_size=None)
        self.teacher, self.vocabulary, self.device = teacher, vocabulary, device
        self.student = copy.deepcopy(teacher.unet).float().requires_grad_(True)
        if device == "cpu":  # faster on maps this small, as for the image model
            self.student.set_attn_processor(AttnProcessor())
            teacher.unet.set_attn_processor(AttnProcessor())
        self.modules = {"unet": self.student}
        # steps_offset has no effect with trailing timesteps; Diffusers' own pipelines warn at any other value.
        plain = {"clip_sample": False, "set_alpha_to_one": True, "timestep_spacing": "trailing", "steps_offset": 1}
        self.scheduler = DDIMScheduler.from_config(teacher.scheduler_config, **plain)
        self.scheduler.set_timesteps(STEPS)
        alphas = torch.cat([self.scheduler.alphas_cumprod, torch.ones(1)]).to(device)
        self.signal, self.noise = alphas.sqrt(), (1 - alphas).sqrt()  # [1001], by timestep; -1 is the picture
        self.times = torch.cat([self.scheduler.timesteps, torch.tensor([-1])]).to(device)  # [STEPS + 1]
        self.edge = teacher.defaults.native_size // teacher.dims.downscale
        self.negative = self.read([teacher.defaults.negative_prompt])
        self._shown: list[np.ndarray] | None = None

    @torch.no_grad()
    def read(self, texts: list[str]) -> Tensor:
        """The teacher's text states [B, L, E]."""
        return encode_text(self.teacher.tokenizer, self.teacher.text_encoder, texts).float()

    def _levels(self, timesteps: Tensor) -> tuple[Tensor, Tensor]:
        """int64 [B] -> the shares of signal and noise [B, 1, 1, 1]; their squares sum to 1."""
        return self.signal[timesteps].view(-1, 1, 1, 1), self.noise[timesteps].view(-1, 1, 1, 1)

    def jump(self, x: Tensor, velocity: Tensor, now: Tensor, then: Tensor) -> Tensor:
        """One DDIM step (Song et al. 2021, Equation 12 without noise) of x [B, C, h, w] from `now` to `then` [B]."""
        (a, s), (a2, s2) = self._levels(now), self._levels(then)
        return a2 * (a * x - s * velocity) + s2 * (s * x + a * velocity)

    def velocity(self, x: Tensor, place: Tensor, now: Tensor, then: Tensor) -> Tensor:
        """The velocity whose `jump` from x leads to `place` (both [B, C, h, w]); the inverse of `jump`."""
        (a, s), (a2, s2) = self._levels(now), self._levels(then)
        return ((a * a2 + s * s2) * x - place) / (s * a2 - a * s2)

    @torch.no_grad()
    def walk(self, x: Tensor, now: Tensor, then: Tensor, states: Tensor) -> Tensor:
        """Where the guided teacher gets from x [B, C, h, w] between `now` and `then` [B]; states [B, L, E]."""
        both = torch.cat([self.negative.expand(len(x), -1, -1), states])
        scale = self.teacher.defaults.guidance_scale
        ways = [(now + (then - now) * part / TEACHER_STEPS).round().long() for part in range(TEACHER_STEPS + 1)]
        for here, there in itertools.pairwise(ways):
            negative, positive = self.teacher.predict(x.repeat(2, 1, 1, 1), here.repeat(2), TextStates(both)).chunk(2)
            x = self.jump(x, negative + scale * (positive - negative), here, there)
        return x

    @torch.no_grad()
    def arrive(self, steps: Tensor, states: Tensor, generator: torch.Generator) -> Tensor:
        """Fresh noise, led by the student to where step `steps` [B] (0..STEPS-1) begins: [B, C, h, w]."""
        shape = (len(steps), self.teacher.dims.latent_channels, self.edge, self.edge)
        x = torch.randn(shape, generator=generator).to(self.device)
        for done in range(int(steps.max())):
            on = steps > done
            now, then = (self.times[done + later].expand(int(on.sum())) for later in (0, 1))
            x[on] = self.jump(x[on], self.student(x[on], now, states[on]).sample.float(), now, then)
        return x

    def captions(self, count: int, draw: np.random.Generator) -> list[str]:
        """Captions of things that need not exist: any noun with any light, colour and time of day."""
        names, texts = self.vocabulary.pictures, []
        for _ in range(count):
            said = Attributes(*(str(draw.choice(words)) for words in (LIGHTS, COLOURS, TIMES)))
            style = str(draw.choice(STYLES)) if draw.random() < STYLED else "photo"
            nouns = self.vocabulary.nouns[names[int(draw.integers(len(names)))]]
            texts.append(caption(nouns, float(draw.choice(SHARES)), said, draw, style))
        return texts

    def loss(self, step: int, generator: torch.Generator, batch_size: int) -> dict[str, Tensor]:
        """Squared error of the velocity. On the cosine schedule the four jumps are equal turns (of 22.5 degrees), so
        this is the error of the place that each leads to, and no weights are needed.
        """
        draw = np.random.default_rng(int(torch.randint(2**31, (1,), generator=generator)))
        states = self.read(self.captions(batch_size, draw))
        steps = torch.arange(batch_size, device=self.device) % STEPS
        now, then = self.times[steps], self.times[steps + 1]
        x = self.arrive(steps, states, generator)
        wanted = self.velocity(x, self.walk(x, now, then, states), now, then)
        error = (self.student(x, now, states).sample.float() - wanted).square().mean((1, 2, 3))
        shown = {f"step_{k + 1}": error[steps == k].mean().detach() for k in range(min(STEPS, batch_size))}
        return {"loss": error.mean(), **shown}

    def carry_over(self, teacher: Path, student: Path) -> bool:
        """Begin with what an earlier distillation changed, added to the teacher, if that leads nearer to where the
        teacher goes than its own weights do (on one batch). Returns whether it was taken.

        teacher, student: folders of U-Nets, that of the earlier teacher and of its student. Those of another form
        are not taken. Raises OSError where a folder holds no U-Net.
        """
        own = {name: value.detach().clone() for name, value in self.student.state_dict().items()}
        before, learned = (
            UNet2DConditionModel.from_pretrained(folder).float().state_dict() for folder in (teacher, student)
        )
        forms = [{name: value.shape for name, value in weights.items()} for weights in (own, before, learned)]
        if forms.count(forms[0]) < len(forms):
            return False
        carried = {name: value + (learned[name] - before[name]).to(value) for name, value in own.items()}
        errors = []
        for weights in (own, carried):
            self.student.load_state_dict(weights)
            with torch.no_grad():
                errors.append(float(self.loss(0, torch.Generator().manual_seed(0), 4 * STEPS)["loss"]))
        taken = errors[1] < errors[0]
        self.student.load_state_dict(carried if taken else own)
        return taken

    def backbone(self) -> StableDiffusion:
        """The present student as the engine would load it; its U-Net is a copy, the rest the teacher's."""
        teacher = self.teacher
        parts = {
            "tokenizer": teacher.tokenizer,
            "text_encoder": teacher.text_encoder,
            "unet": copy.deepcopy(self.student),
            "vae": teacher.vae,
        }
        config = {"_class_name": "DDIMScheduler", **self.scheduler.config}
        defaults = teacher.defaults.model_copy(update={"num_inference_steps": STEPS, "guidance_scale": 1.0})
        return StableDiffusion(teacher.source, teacher.choice, parts, config, defaults)

    def pairs(self) -> tuple[list[np.ndarray], list[np.ndarray]]:
        """The student's pictures of the sheet's nouns and, of the same seeds, the teacher's with its own settings."""
        jobs = [(photo_prompt(noun), seed) for seed, noun in enumerate(SHEET)]
        if self._shown is None:
            self._shown = [np.asarray(paint_text(self.teacher, *job)) for job in jobs]
        student = self.backbone()
        return [np.asarray(paint_text(student, *job)) for job in jobs], self._shown

    def samples(self, path: Path) -> None:
        """Above the student's, below the teacher's."""
        ours, theirs = self.pairs()
        save_grid([*ours, *theirs], path.with_suffix(".jpg"), columns=len(SHEET))

    def scores(self) -> dict[str, float]:
        """Mean difference to the teacher's pictures of the same seeds, as a share of the full range of a pixel."""
        ours, theirs = self.pairs()
        return {"difference": float(np.mean(np.abs(np.stack(ours) / 255.0 - np.stack(theirs) / 255.0)))}

    def export(self, folder: Path) -> None:
        """A complete Diffusers folder: the student's U-Net and scheduler, copies of the teacher's other parts."""
        source = self.teacher.source
        folder.mkdir(parents=True, exist_ok=True)
        for part in ("text_encoder", "tokenizer", "vae"):
            shutil.copytree(source / part, folder / part, dirs_exist_ok=True)
        copy.deepcopy(self.student).half().save_pretrained(folder / "unet")
        forget_origin(folder / "unet" / "config.json")
        self.scheduler.save_pretrained(folder / "scheduler")
        index = json.loads((source / "model_index.json").read_text(encoding="utf-8"))
        index["scheduler"] = ["diffusers", type(self.scheduler).__name__]
        for part in ("safety_checker", "feature_extractor", "image_encoder"):  # not copied
            index[part] = [None, None]
        (folder / "model_index.json").write_text(json.dumps(index, indent=2) + "\n", encoding="utf-8")
        own = {"num_inference_steps": STEPS, "guidance_scale": 1.0, "edit_guidance_scale": None}
        defaults = self.teacher.defaults.model_dump() | own | {"begin_size": self.begin_size}
        (folder / "hearsight.json").write_text(json.dumps(defaults, indent=1) + "\n", encoding="utf-8")
