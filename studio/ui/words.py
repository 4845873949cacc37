"""Every English word of the page, in one place, so that other languages are one more set of them (`gr.I18n`)."""

from __future__ import annotations

TITLE = "Hearsight"
TAGLINE = "Turn sounds into pictures, on your own machine."
THEME = "Light or dark"
CREATE = "Create"
GALLERY = "Gallery"

# The sound
SOUND_HEADING = "Sound"
SOUND = "Record, drop a file, or pick a starter"
STARTERS = "Starter sounds"
SOURCE = "source"
OTHER_FORMATS = "Drop webm, mp4, mov, wma, ..."
PART = "Part, volume, place, other formats"
PART_ONLY = "Part, other formats"
START = "Start (s)"
START_INFO = "Where the heard part begins."
DURATION = "Length (s)"
DURATION_INFO = "Hearsight picks the most energetic 10 s by itself."
GAIN = "Volume (dB)"
GAIN_INFO = "Louder or softer, before the ear hears it."
PAN = "Place"
PAN_INFO = "-1 is left, 0 the middle, 1 right."
ROOM = "Room"
ROOMS = {
    "dry": "No room",
    "living-room": "Living room",
    "stairwell": "Stairwell",
    "concert-hall": "Concert hall",
    "church": "Church",
    "cathedral": "Cathedral",
}
MUTE = "Mute"
SOLO = "Solo"
CLEAN_VOICE = "Clean up voice when recording"
CLEAN_VOICE_INFO = "For speech. Leave it off for rain, birds, machines: the browser would take them for noise."
HEARS = "The ear hears"
HEARS_LATER = "The ear listens as soon as the model is loaded."
LISTENING = "Listening ..."
HEARS_NOTHING_YET = "Add a sound, and the ear says what it hears."

TOO_SOFT = "too soft to measure"

# The desk
DESK = "Mix with more sounds"
SOUND_LETTER = "Sound {letter}"
SOUND_OF = "Sound {letter}: record or drop a file"
STARTERS_OF = "Starter sounds for {letter}"
ADD_SOUND = "+ Add another sound"
REMOVE = "Remove {letter}"
JOIN = "How the sounds become one"
JOINS = {"mix": "Mix", "sequence": "One after another", "morph": "Morph"}
JOIN_ABOUT = {
    "mix": "All together in the air. The ear, trained on single sounds, may hear a third thing in it.",
    "sequence": "In the order of their letters, each fading into the next.",
    "morph": "The ear hears each sound alone, and A* is taken from between their meanings.",
}
MORPH = "Morph"
MORPH_NEEDS = "A morph goes between sounds: add a second one."
BALANCE = "From {first} (0) to {second} (100)"
WEIGHT = "Weight of {letter} (%)"
MATCH = "Match loudness"
MATCH_NEEDS = "To match their loudness, add a second sound."
MATCHED = "Equally loud now: {gains}."
LISTEN = "Listen to the scene"
JOINING = "Joining the sounds ..."
SCENE = "The scene, as the ear hears it"
SCENE_MORPH = "A preview: in a morph the ear hears each sound alone"
SCENE_FILE = "scene"
SCENE_OLD = "Something was changed. Press Listen to the scene to hear it again."

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
SOUND_STRENGTH = "Sound strength"
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

# The gallery
GALLERY_HEADING = "Pictures you made"
SEARCH = "Search"
SEARCH_PLACEHOLDER = "words of the prompt or the sound"
SINCE = "From day"
UNTIL = "To day"
DAY_PLACEHOLDER = "2026-08-31"
FAVOURITES = "Favourites only"
EMPTY_GALLERY = "No pictures yet. Make one in the Create tab: every finished picture is kept here."
NOTHING_FITS = "No picture fits. Try fewer words, other days, or all pictures instead of favourites."
FOUND = "{total} pictures, newest first."
FOUND_ONE = "1 picture."
PAGE = "Page {number} of {pages}"
NEWER = "Newer"
OLDER = "Older"
CHOOSE = "Choose a picture to see how it was made, and to use its settings again."
STAR = "\N{BLACK STAR}"
ALTERNATIVE = "{prompt}, made from {sounds}"
HEARD = "Heard"
SIZE = "Size"
MODEL = "Model"
WHEN = "Made"
FILE = "File"
MARK = "\N{WHITE STAR} Favourite"
UNMARK = "\N{BLACK STAR} Unfavourite"
DELETE = "Delete"
ASK_DELETE = "Delete this picture for good?"
SURE = "Delete"
KEEP = "Keep it"
DELETED = "The picture was deleted."
GONE = "This picture is no longer there."

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
MISSING = "{letter}, {name}, is not here any more, so the change cannot be heard: add that sound again, or mute it."
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
