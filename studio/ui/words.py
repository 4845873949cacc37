"""Every English word of the page, in one place, so that other languages are one more set of them (`gr.I18n`)."""

from __future__ import annotations

TITLE = "Hearsight"
TAGLINE = "Turn sounds into pictures, on your own machine."
THEME = "Light or dark"
CREATE = "Create"

# The sound
SOUND_HEADING = "Sound"
SOUND = "Record, drop a file, or pick a starter"
STARTERS = "Starter sounds"
SOURCE = "source"
SOURCE = "source"
OTHER_FORMATS = "Drop webm, mp4, mov, wma, ..."
PART = "Part, volume, other formats"
START = "Start (s)"
START_INFO = "Where the heard part begins."
DURATION = "Length (s)"
DURATION_INFO = "Hearsight picks the most energetic 10 s by itself."
GAIN = "Volume (dB)"
GAIN_INFO = "Louder or softer, before the ear hears it."
CLEAN_VOICE = "Clean up voice when recording"
CLEAN_VOICE_INFO = "For speech. Leave it off for rain, birds, machines: the browser would take them for noise."
HEARS = "The ear hears"
HEARS_LATER = "The ear listens as soon as the model is loaded."
LISTENING = "Listening ..."
HEARS_NOTHING_YET = "Add a sound, and the ear says what it hears."

# The words
WORDS_HEADING = "Words"
TEMPLATE = "What to make"
PROMPT = "Prompt"
PROMPT_HINT = "<b>A*</b> stands for your sound. Use it anywhere, more than once, or weighted: <b>(A*:1.3)</b>"  # HTML
NO_WORD = "Your prompt has no A*, so the sound would not be used."
ADD_WORD = "Add A*"

# Fine controls
FINE = "Fine controls"
NEGATIVE_PROMPT = "Avoid"
SEED = "Seed"
SEED_PLACEHOLDER = "a new one each time"
KEEP_SEED = "Keep this seed"
STEPS = "Steps"
GUIDANCE = "Prompt strength"
WIDTH = "Width (px)"
HEIGHT = "Height (px)"
COUNT = "How many"
PREVIEW = "Live preview"

# The picture
PICTURE_HEADING = "Picture"
PICTURE = "Picture"
SOUND_PICTURE_ALT = "The sound drawn as a spectrogram: time from left to right, pitch from low to high"
MAKE = "Make picture"
MAKE_BUSY = "Making ..."
STOP = "Stop"
SHORTCUTS = "Ctrl+Enter makes, Esc stops"
VARIATION = "Another variation"
REUSE = "Use these settings"
DOWNLOAD = "Download PNG"
STRIP = "Your pictures"
DROP = "Bring settings back from a picture"
DROP_LABEL = "Drop a PNG made with Hearsight"

# States
READY_TO_MAKE = "This is your sound, drawn as time and pitch. Press Make picture to see what it becomes."
NO_SOUND_YET = "Add a sound, then press Make picture."
LATEST = "Your latest picture."
WAITING = "{ahead} ahead of you"
LOADING = "Loading the model. This happens once after the start."
STARTING = "Starting ..."
STEP = "Step {index} of {total}"
PICTURE_OF = "Picture {image} of {count}"
LEFT = "about {seconds} left"
STOPPING = "Stopping after this step ..."
STOPPED = "Stopped at step {index}. Press Make picture to start again."
STOPPED_EARLY = "Stopped before the first step. Press Make picture to start again."
DONE = "Done in {seconds}"
RESTORED = "Settings restored from {name}."
CARRIED = "{name}: the picture carries it as the word A*, so it can be made again without the file."

# Mistakes
NO_SOUND = "Add a sound first: press Record, drop a file, or pick a starter sound."
NOTHING_TO_STOP = "Nothing is being made."
LINE_FULL = "This studio is busy: {ahead} pictures are waiting already. Please try again in a minute."
OUR_FAULT = "Something went wrong on our side. Your settings are kept; please try again."
NO_MEMORY = "Not enough memory for {width} x {height} px. Try a smaller size under Fine controls."
NO_SEED = 'The seed must be a whole number from 0 to {most}, not "{text}".'
NO_SETTINGS = "{name} holds no Hearsight settings. Drop a PNG that was downloaded here (not a screenshot or a copy)."

# The model's chip
CHIP_MODEL = "Pocket model"
CHIP_WAITING = "model not loaded yet"
CHIP_LOADING = "loading the model ..."
CHIP_READY = "ready"
CHIP_FAILED = "the model could not be loaded"
