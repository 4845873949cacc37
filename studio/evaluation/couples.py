"""Which sounds meet where two are joined: pairs of any unheard recordings, and of those that the ear names rightly."""

from __future__ import annotations

import numpy as np
from PIL import Image

from studio.evaluation.bench import Bench, Job
from studio.evaluation.scores import spread
from studio.evaluation.volume import chosen_jobs
from studio.sound.clip import Clip
from studio.sound.loudness import apply_gain, matched_gains

PHOTO_PAIRS = 4  # of each couple, drawn at random: they cost nothing, and are what pictures are compared with
PER_SOUND = 4  # recordings that the ear names rightly, so that no sound counts for most of the pairs


def couples(bench: Bench) -> list[tuple[Job, Job]]:
    """Pairs of recordings of different sounds that show different things, each sound once or twice."""
    jobs = chosen_jobs(bench.jobs(), 1)
    half = len(jobs) // 2
    pairs = bench.vocabulary.pairs
    made = [(one, other) for shift in (0, 1) for one, other in zip(jobs, jobs[half + shift :], strict=False)]
    apart = [(one, other) for one, other in made if not set(pairs[one.name]) & set(pairs[other.name])]
    return spread(apart, bench.counts.couples) if apart else []


def heard_rightly(bench: Bench, job: Job) -> bool:
    """Whether the ear's first name for a recording, as it is, is the right one."""
    heard = bench.hear(job.row)
    return heard is not None and heard[0][0] == job.name


def known_couples(bench: Bench) -> list[tuple[Job, Job]]:
    """Pairs as in `couples`, but of recordings that the ear names rightly, at most four of each sound.

    What is wrong in their pictures is not the ear's mistake: what is left is what joining and placing do.
    """
    of_sound: dict[str, list[int]] = {}
    for row in bench.one_piece_each():
        rows = of_sound.setdefault(bench.sound_name(row), [])
        if bench.sound_name(row) in bench.vocabulary.pairs and len(rows) < PER_SOUND:
            rows += [row] if heard_rightly(bench, Job(bench.sound_name(row), row, 0)) else []
    in_turn = [
        (name, rows[turn]) for turn in range(PER_SOUND) for name, rows in sorted(of_sound.items()) if rows[turn:]
    ]
    known = [Job(name, row, seed) for seed, (name, row) in enumerate(in_turn)]
    made: dict[frozenset[int], tuple[Job, Job]] = {}
    for step in (len(known) // 2, len(known) // 3):  # each is the first of a pair, and of a second one
        for place, one in enumerate(known):
            other = known[(place + step) % len(known)]
            if not set(bench.vocabulary.pairs[one.name]) & set(bench.vocabulary.pairs[other.name]):
                made.setdefault(frozenset((one.row, other.row)), (one, other))
    return spread(list(made.values()), bench.counts.known_couples) if made else []


def equally_loud(bench: Bench, couple: tuple[Job, Job]) -> list[Clip]:
    """The sounds of a couple, each brought to the same loudness."""
    clips = [bench.sounds.clips[job.row] for job in couple]
    return [apply_gain(clip, gain) for clip, gain in zip(clips, matched_gains(clips), strict=True)]


def photo_pair(bench: Bench, wanted: tuple[list[str], list[str]], seed: int) -> Image.Image | None:
    """Half a held-out photo of one thing beside half of one of the other; None where there is no photo of either."""
    photos, generator = bench.held_out_photos, np.random.default_rng(seed)
    names, page = bench.photo_names(photos), Image.new("RGB", (256, 256))
    for left, accepted in zip((0, 128), wanted, strict=True):
        rows = [row for row, name in enumerate(names) if name in accepted]
        if not rows:
            return None
        photo = Image.fromarray(photos.resized(int(generator.choice(rows)), 256))
        page.paste(photo.crop((left, 0, left + 128, 256)), (left, 0))
    return page
