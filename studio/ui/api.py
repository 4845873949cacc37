"""The endpoint for programs: `/sound_to_image`, for gradio_client and plain HTTP.

    from gradio_client import Client, handle_file
    picture, recipe = Client("http://127.0.0.1:7860").predict(handle_file("rain.wav"), api_name="/sound_to_image")

Its inputs are hidden controls of its own in a fixed order, so that the page may change without breaking programs.
"""

from __future__ import annotations

from typing import Any

import gradio as gr

from studio.errors import HearsightError
from studio.recipe import Recipe, Track
from studio.ui import jobs
from studio.ui.album import Album, new_visitor, show
from studio.ui.service import Service

DEFAULT_PROMPT = Recipe().prompt


def build_api(service: Service) -> None:
    """Add the endpoint to the current Gradio blocks."""

    def sound_to_image(
        request: gr.Request,
        sound: str,
        prompt: str = DEFAULT_PROMPT,
        negative_prompt: str | None = None,
        seed: int | None = None,
        steps: int | None = None,
        guidance: float | None = None,
        width: int | None = None,
        height: int | None = None,
        start: float | None = None,
        duration: float | None = None,
        gain: float | None = None,
    ) -> tuple[str, dict[str, Any]]:
        """Make one picture from a sound. Empty inputs take the model's own values.

        Args:
            sound: the sound file.
            prompt: what to make; A* stands for the sound.
            negative_prompt: what to stay away from.
            seed: 0 to 2147483647; the same seed gives the same picture.
            steps: denoising steps, 1 to 100.
            guidance: how strictly the picture follows sound and words, 0 to 30.
            width: in px, a multiple of 8.
            height: in px, a multiple of 8.
            start: where the heard part begins, in s.
            duration: how long it is, in s.
            gain: louder or softer, in dB.

        Returns:
            the picture, a PNG that carries its recipe; and the recipe.
        """
        recipe = None
        try:
            if not sound:
                raise HearsightError("No sound was given: `sound` must be an audio file.")
            track = Track.of(sound, start=start, duration=duration, gain=gain or 0.0)
            recipe = Recipe(
                tracks=(track,),
                prompt=prompt,
                negative_prompt=negative_prompt,
                seed=seed,
                num_inference_steps=steps,
                guidance_scale=guidance,
                width=width,
                height=height,
                preview_every=0,
                model=service.model,
                adapter=service.adapter,
            )
            album = Album.of(service.pictures, new_visitor() if service.hosted else None)
            for moment in jobs.make(service, f"api-{request.session_hash}", album, recipe):
                if isinstance(moment, jobs.Saved):
                    return show(moment.path), moment.recipe.public().model_dump(mode="json")
            raise HearsightError("The picture was stopped before it was finished.")
        except Exception as error:  # programs get the same sentences as people
            raise gr.Error(jobs.sentence(error, recipe), print_exception=False) from None

    with gr.Column(visible=False):
        inputs: list[Any] = [
            gr.Audio(label="sound", type="filepath", buttons=[]),
            gr.Textbox(DEFAULT_PROMPT, label="prompt"),
            gr.Textbox(None, label="negative_prompt"),
            gr.Number(None, label="seed", precision=0),
            gr.Number(None, label="steps", precision=0),
            gr.Number(None, label="guidance"),
            gr.Number(None, label="width", precision=0),
            gr.Number(None, label="height", precision=0),
            gr.Number(None, label="start"),
            gr.Number(None, label="duration"),
            gr.Number(None, label="gain"),
        ]
        outputs = [gr.Image(label="picture", type="filepath", buttons=[]), gr.JSON(label="recipe")]
        gr.Button().click(
            sound_to_image, inputs, outputs, api_name="sound_to_image", concurrency_limit=None, show_progress="hidden"
        )
