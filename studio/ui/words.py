"""Every English word of the page, in one place. Other languages stand in `languages/`, by these names.

Inside the handler of an event, `words.MAKE` is already said in the visitor's language: see `studio.ui.language`.
"""

from __future__ import annotations

import sys

from studio.ui.language import Words

TITLE = "Hearsight"
TAGLINE = "Turn sounds into pictures, on your own machine."
THEME = "Light or dark"
CREATE = "Create"
GALLERY = "Gallery"
LIVE = "Live"

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
PAN_INFO = "-1 is left, 0 the middle, 1 right: in the sound, and in the picture."
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
JOINS = {"mix": "Mix", "sequence": "One after another", "morph": "Morph", "side-by-side": "Side by side"}
JOIN_ABOUT = {
    "mix": "All together. The louder a sound, the more of the picture it gets; give them places, and each is painted "
    "in its part.",
    "sequence": "In the order of their letters, each fading into the next. Longer sounds get more of the picture.",
    "morph": "From one meaning to another, by the slider and not by loudness.",
    "side-by-side": "All together, each painted in its part of the picture: from left to right in the order of their "
    "letters, or where you place them.",
}
MORPH = "Morph"
MORPH_NEEDS = "A morph goes between sounds: add a second one."
BALANCE = "From {first} (0) to {second} (100)"
WEIGHT = "Weight of {letter} (%)"
MATCH = "Match loudness"
MATCH_NEEDS = "To match their loudness, add a second sound."
MATCHED = "Equally loud now: {gains}."
LISTEN = "Hear what the ear hears"
JOINING = "Joining the sounds ..."
SCENE_WHICH = "What to play"
SCENE_ABOUT = "The scene is for you: of several sounds the ear gets each alone, as it is played here."
SCENE_SHORT = "The scene"
SCENE = "The scene: all sounds together"
SCENE_MORPH = "A preview of the morph: all sounds together"
EAR_GETS = "Sound {letter}, exactly as the ear gets it: mono, {rate} kHz"
SHARES = "Shares of the picture: {shares}"
SCENE_FILE = "scene"
SCENE_OLD = "Something was changed. Press Hear what the ear hears to listen again."

# Recording on this computer, beside the browser's own
RECORD_HERE = "Record here, by this computer's own devices"
RECORD_HERE_ABOUT = "At the device's own rate, in stereo if it can, without the browser in between."
RECORD_DEVICE = "Device"
RECORD_CHANNELS = "Channels"
MONO = "Mono"
STEREO = "Stereo"
RECORD_INTO = "Into sound"
RECORD = "Record"
RECORD_STOP = "Stop and use it"
RECORD_READY = "Ready. Check the level while you record: peaks around -12 dB are good."
RECORD_DONE = "Recorded {seconds} into sound {letter}. The file is kept as {name}."
RECORD_TOO_LOUD = "It was too loud for the input: turn it down or step back."
RECORD_GAPS = "The machine was too busy, so some moments are missing."
RECORD_SILENT = "It is almost silent: is it the right device?"
RECORD_FULL = "It has ended: the longest recording is reached, or the device is gone. Press Stop and use it."
RECORD_NAME = "take-{time}"
RECORD_NOT_HERE = "Recording by this computer's devices is for the person in front of it."
LEVEL = "Peak {peak} dB, RMS {rms} dB"
CLIPPED = "too loud"

# Live
LIVE_HEADING = "Listen and draw"
LIVE_SOUND = "microphone"
LIVE_SOURCE = "Listen with"
LIVE_BROWSER = "This browser's microphone"
LIVE_MICROPHONE = "Microphone"
LIVE_START = "Start listening"
LIVE_BUSY = "Listening ..."
LIVE_PRIVATE = "The last ten seconds of sound are held in memory. Pieces that were sent are deleted within minutes."
LIVE_PROMPT = "Prompt"
LIVE_WINDOW = "Seconds heard"
LIVE_WINDOW_INFO = "Short follows quickly, long hears more surely."
LIVE_SMOOTHNESS = "Smoothness"
LIVE_SMOOTHNESS_INFO = "0 jumps with every sound, 0.9 drifts slowly."
LIVE_GAIN = "Microphone gain (dB)"
LIVE_GAIN_INFO = "Louder sounds act more strongly: full strength at -20 LUFS."
LIVE_THRESHOLD = "Draw above (dB)"
LIVE_THRESHOLD_INFO = "Below this peak it only listens."
LIVE_NEW_SEED = "New seed"
LIVE_KEEP = "Keep this picture"
LIVE_KEPT = "Kept in the gallery as {name}."
LIVE_NOTHING_TO_KEEP = "There is no picture yet. Press Start listening and make a sound."
LIVE_PICTURE_ALT = "What is heard right now, as a picture"
LIVE_READY = "Press Start listening and make a sound: new pictures follow until you stop."
LIVE_LISTENING = "Listening ... it is quiet, so the picture stays."
LIVE_FRAME = "Picture {number} · {seconds} · {heard}"
LIVE_STOPPED = "Stopped after {number} pictures."
LIVE_STOPPED_ONE = "Stopped after 1 picture."
LIVE_LOST = "No sound arrives any more, so it stopped. Press Start listening to go on."
LIVE_FULL = "{count} pages are listening already, which is as many as this studio can draw for. Try again later."
LIVE_LATER = "What it hears stands here as soon as it listens."

# The words
WORDS_HEADING = "Words"
TEMPLATE = "What to make"
PROMPT = "Prompt"
PROMPT_HINT = "<b>A*</b> stands for your sound. Use it anywhere, more than once, or weighted: <b>(A*:1.3)</b>"  # HTML
TEMPLATE_SAVE = "Save as template"
TEMPLATE_DELETE = "Delete this template"
TEMPLATE_NAME = "Name of the template"
TEMPLATE_NAME_EXAMPLE = "Night sea"
TEMPLATE_WHOLE = "Strengths, steps and size too"
TEMPLATE_SURE = "Save"
TEMPLATE_SAVED = "Saved: {name} stands among the templates, with this prompt and what to avoid."
TEMPLATE_SAVED_WHOLE = "Saved: {name} stands among the templates, with the fine controls as they are now."
TEMPLATE_DELETED = "The template was deleted. Its prompt is still here."
CANCEL = "Cancel"
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

# Image model and adapter
MODEL_PANEL = "Image model and adapter"
MODEL_TITLES = {
    "pocket": "Pocket (comes with Hearsight)",
    "pocket-fast": "Pocket in four steps",
}
MODEL_TO_DOWNLOAD = "{model}: {size} to download"
MODEL_TOO_LARGE = "{model} (too large for this machine now)"
MODEL_INCOMPLETE = "{model} (not complete)"
MODEL_MISSING = "{model} (not on this machine)"
MODEL_UNUSABLE = "It cannot be used here; hearsight models list says what is missing."
MODEL_LIKES = "By itself it draws {size} px in {steps} steps."
MODEL_FITS = "It takes {need} of memory; {free} are free."
MODEL_DOES_NOT_FIT = (
    "It takes {need} of memory and more while loading, but only {free} are free: close other programs, or choose a "
    "smaller one."
)
MODEL_SLOWER = "It would work in parts, more slowly."
MODEL_ASK = "{model} is not on this machine yet. Download about {size} from huggingface.co?"
MODEL_FETCH = "Download"
MODEL_FETCHING = "Downloading {model}: {done} of about {total} GB"
MODEL_NOT_YOURS = "Only the person in front of this machine can download models."
MODEL_NOT_OFFERED = "The image model {model} is not offered here: choose another one under Image model and adapter."
MODEL_NOT_HERE = (
    "{model} is not on this machine yet: download it under Image model and adapter, or choose another one there."
)
ADAPTER_NOT_OFFERED = "The adapter {adapter} is not offered here: choose another one under Image model and adapter."
ADAPTER_AUTO = "As suits the model"
ADAPTER_TITLES = {
    "word": "A learned word",
    "gated": "Sound beside the words",
    "concepts": "Phrases for what is heard",
}
ADAPTER_ABOUT = {
    "word": "A* is a word that was learned for this model; it also says how this sound differs from others.",
    "gated": "The model reads the sound beside the text: the prompt needs no A*. Place and weight of A* do nothing.",
    "concepts": "A* is made of words for what the ear hears. You can read and change them.",
    "audiotoken": "AudioToken's published word, for Stable Diffusion 1.4.",
    "context": "The sound stands in the place of the text: the prompt is not read.",
}
ADAPTERS_OF_OTHERS = "Made for other models: {names}."
ADAPTERS_MISSING = "Not all here: {names}; hearsight adapters list says what they need."
EAR_TITLES = {
    "pocket": "Pocket: 54 kinds of sound",
}
TOP_K = "How many words"
TOP_K_INFO = "At most so many make A*."
TEMPERATURE = "Evenness"
TEMPERATURE_INFO = "Low: the surest alone. High: all alike."
PHRASES = "The words in A*"
PHRASES_INFO = "With weights. Write your own, or leave it empty, and the ear says them."
PHRASES_EXAMPLE = "rain:0.7, river:0.3"
PHRASES_SHOW = "Show the words"

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

# The journey
JOURNEY = "Journey"
JOURNEY_WAY = "The way"
JOURNEY_KINDS = {"morph": "From sound to sound", "volume": "Volume sweep", "window": "Along a recording"}
JOURNEY_ABOUT = {
    "morph": "Each picture stands between the meanings of two sounds; you hear them fade into each other.",
    "volume": "The sound comes into the picture as it gets louder. Below about -40 dB the words stand alone.",
    "window": "Each picture shows what is heard around its moment: for long recordings of a place, a walk, a song.",
}
JOURNEY_LOOK = "Words and film"
JOURNEY_FROM_DESK = "From the Create tab, as set there: {sounds}."
JOURNEY_FROM_FILES = "The files below, in their order: {sounds}."
JOURNEY_NO_SOUND = "The Create tab has no sound. Add one there, or drop files here."
JOURNEY_MORPH_NEEDS = "For this way add a second sound: in Create under Mix with more sounds, or drop two files here."
JOURNEY_ARROW = " \N{RIGHTWARDS ARROW} "
JOURNEY_OTHER = "Other sounds than those of Create"
JOURNEY_FILES = "Drop sound files, one or several"
JOURNEY_MOST = "A journey takes at most {most} sounds, but {count} were dropped: remove some."
JOURNEY_FROM = "From volume (dB)"
JOURNEY_TO = "To volume (dB)"
JOURNEY_WINDOW = "Window (s)"
JOURNEY_WINDOW_INFO = "How much is heard for each picture."
JOURNEY_HOP = "Hop (s)"
JOURNEY_HOP_INFO = "How far the window goes from picture to picture."
JOURNEY_HOP_PLACEHOLDER = "to the recording's end"
JOURNEY_BAD_HOP = 'The hop must be a number of seconds, for example 0.5, not "{text}": correct it, or leave it empty.'
JOURNEY_FRAMES = "How many pictures"
JOURNEY_FPS = "Pictures a second"
JOURNEY_PLAYBACK = "Playback"
JOURNEY_PLAYBACKS = {"loop": "Over and over", "ping-pong": "Forth and back", "once": "Once"}
JOURNEY_LENGTH = "{seconds} of film."
JOURNEY_SEED_INFO = "All pictures share it, so that only the sound changes."
JOURNEY_SMOOTHING = "Smoothing"
JOURNEY_SMOOTHING_INFO = "Neighbours whose meaning a picture shares, against jumps. Not used from sound to sound."
JOURNEY_FINE_NOTE = "What to avoid, and both strengths, are those of the Create tab."
JOURNEY_MAKE = "Make journey"
JOURNEY_READY = "Press Make journey. The film can be watched here, and its pictures are kept on this disk."
JOURNEY_READING = "Reading the sounds ..."
JOURNEY_PAINTING = "Picture {number} of {total}"
JOURNEY_FILMING = "Making the film ..."
JOURNEY_STOPPED = "Stopped: the film ends after {count} of {total} pictures."
JOURNEY_STOPPED_EARLY = (
    "Stopped before there were two pictures, so there is no film. Press Make journey to start again."
)
JOURNEY_LATEST = "Your latest journey."
JOURNEY_ASK_DELETE = "Delete this journey, its film and its pictures for good?"
JOURNEY_DELETED = "The journey was deleted."
JOURNEY_PICTURE = "The picture that is being made"
JOURNEY_FILM = "The film"
JOURNEY_SHEET = "Contact sheet"
JOURNEY_SHEET_ALT = "Contact sheet: the pictures of the journey in their order, {count} of {total} finished"
JOURNEY_ABOUT_FILM = "{count} pictures, {seconds} of film, seed {seed}"
JOURNEY_MP4 = "Film (MP4)"
JOURNEY_GIF = "GIF"
JOURNEY_PNG = "Contact sheet"
JOURNEY_ZIP = "All pictures (ZIP)"

# Editing a photo
EDIT = "Edit"
EDIT_PHOTO = "Photo"
EDIT_PHOTO_DROP = "Drop a photo: JPEG, PNG, WebP, TIFF"
EDIT_PHOTO_IS = "{name}, {width} x {height} px."
EDIT_MASK = "What may change"
EDIT_MASK_HINT = "Paint over what may change, and the rest stays as it is. Without paint, all of it may change."
EDIT_SOUND = "Sound"
EDIT_OTHER = "Another sound than those of Create"
EDIT_OTHER_FILE = "Drop a sound file"
EDIT_HOW = "How it changes"
EDIT_METHODS = {"pnp": "Paint it anew", "p2p": "Exchange words", "sdedit": "Paint over"}
EDIT_ABOUT = {
    "pnp": "The photo is painted again as your prompt says, and its shapes stay (plug-and-play).",
    "p2p": "Say what the photo shows, and put A* in the place of a word, or add it (prompt-to-prompt).",
    "sdedit": "Noise over the photo, then painted on from there: quick and free, shapes drift (SDEdit).",
}
EDIT_SOURCE = "What the photo shows"
EDIT_SOURCE_INFO = "In words, without A*. Needed to exchange words, and a help otherwise."
EDIT_SOURCE_EXAMPLE = "a photo of a street"
EDIT_LAYOUT = "Keep layout"
EDIT_LAYOUT_INFO = "Shapes stay where they stand."
EDIT_DETAIL = "Keep detail"
EDIT_DETAIL_INFO = "Edges and small things stay."
EDIT_NOISE = "Freedom"
EDIT_NOISE_INFO = "How much of the photo is painted over; at 1 nothing of it is left."
EDIT_STRENGTH_INFO = "0 leaves the photo, more changes it more."
EDIT_EMPHASIS = "Weight of A*"
EDIT_EMPHASIS_INFO = "How much A* counts among the words."
EDIT_LOCAL = "Only where the exchanged words stand in the photo"
EDIT_VARIATION = "Variation"
EDIT_VARIATION_INFO = "New noise of the seed; at 0 every seed gives the same."
EDIT_MAKE = "Change photo"
EDIT_READY = "Drop a photo, then press Change photo."
EDIT_READY_NOW = "Press Change photo to see what your sound makes of it."
EDIT_NO_PHOTO = "Add a photo first: drop it under Photo."
EDIT_PHASES = {"reading the photo": "Reading the photo, {step}", "painting": "Painting, {step}"}
EDIT_AGAIN = "This picture was made from a photo: for another one, drop the photo in the Edit tab."
EDIT_STOPPED = "Stopped. Press Change photo to start again."
EDIT_SLIDER = "Before and after: move the handle"
EDIT_KNOWN = "The photo comes back with {psnr} dB PSNR from what was read of it (at best {best})"
EDIT_UNCHECKED = "With this image model a photo keeps {best} dB PSNR at best"
EDIT_CACHED = "it was known from before"
EDIT_READ = "read now in {count} steps, which a further sound saves"
EDIT_THIS = "Edit this picture"
EDIT_AGAIN_TITLE = "The photo as it comes back"
EDIT_AGAIN_ALT = "The photo, painted again from what was read of it, without a sound"
EDIT_OURS = "It carries its recipe, so Exchange words needs no description of it."
EDIT_RESTORED = "Settings restored from {name}."
EDIT_RESTORED_PHOTO = "Drop the photo {photo} to make it again."
EDIT_RESTORED_MASK = "Its mask is not in the picture: paint it again."
EDIT_NOT_AN_EDIT = "{name} was not made from a photo. Drop it in Create to bring its settings back."

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

# The settings
SETTINGS = "Settings"
SETTINGS_LOOK = "Look and language"
SETTINGS_THEME = "Colours"
SETTINGS_THEMES = {"system": "As on this device", "light": "Light", "dark": "Dark"}
SETTINGS_LANGUAGE = "Language"
SETTINGS_OF_BROWSER = "As in the browser"
SETTINGS_LANGUAGE_INFO = "The page is loaded again. Names of what the ear hears, and some errors, stay English."
SETTINGS_NEW = "New pictures"
SETTINGS_NEW_ABOUT = "What Create begins with, kept in this browser."
SETTINGS_RESET = "Back to the model's own values"
SETTINGS_KEPT = "Kept in this browser, and set in Create."
SETTINGS_RESET_DONE = "Create begins with the model's own values again."
SETTINGS_STORAGE = "Where things are kept"
SETTINGS_PICTURES = "Pictures"
SETTINGS_PICTURES_ARE = "{count}, {size}"
SETTINGS_SOUNDS = "Sounds of your pictures"
SETTINGS_SOUNDS_INFO = (
    "The sounds of finished pictures are kept, so that a picture can bring them back. Without them it can still be "
    "made again as it is."
)
SETTINGS_EMPTY_SOUNDS = "Delete the sounds of pictures"
SETTINGS_TEMPLATES = "Your templates"
SETTINGS_CACHE = "Photos that were read"
SETTINGS_CACHE_INFO = "What was read of photos makes a further edit faster. It can be deleted at any time."
SETTINGS_EMPTY = "Delete what was read of photos"
SETTINGS_EMPTIED = "Deleted: {size}."
SETTINGS_SHARED = (
    "This page is shared. Your pictures lie on the server that runs it and are shown in this browser only; "
    "your templates and settings are kept in this browser."
)
SETTINGS_DISTANT = "Pictures and templates are kept on the machine that runs this page."
SETTINGS_MACHINE = "Model and machine"
SETTINGS_MODEL = "Image model"
SETTINGS_EAR = "Ear"
SETTINGS_ADAPTER = "Adapter"
SETTINGS_DEVICE = "Computes on"
SETTINGS_LOADING = "not loaded yet"
SETTINGS_KEYS = "Keyboard"
SETTINGS_KEYS_ARE = {
    "Ctrl + Enter": "make a picture, change the photo, make the journey: whatever the tab in view makes",
    "Esc": "stop after the step in hand",
    "Tab": "from control to control; arrow keys move sliders and choices",
}
SETTINGS_PRIVACY = "Privacy"
SETTINGS_PRIVACY_IS = (
    "Sounds, photos and pictures stay on the machine that runs this page. Nothing is sent to anybody else: "
    "no statistics, no fonts or scripts from elsewhere. A downloaded PNG carries its settings and the names of its "
    "sounds, not the sounds."
)

# What is said of a sound
FACT_MONO = "mono"
FACT_STEREO = "stereo"
FACT_CHANNELS = "{count} channels"
FACT_PEAK = "peak {peak} dB"
FACT_NO_PEAK = "no peak"
FACT_SILENT = "silent"
FACT_ALL = "all of it is heard"
FACT_PART = "heard: {start} to {end}"
FACT_SPECTROGRAM = "Spectrogram"
TRIM_START = "Start of the heard part"
TRIM_END = "End of the heard part"

# States
ABOUT_SEED = "seed {seed}"
ABOUT_STEP = "step {index} of {total}"
ABOUT_STEPS = "{count} steps"
READY_TO_MAKE = "This is your sound, drawn as time and pitch. Press Make picture to see what it becomes."
NO_SOUND_YET = "Add a sound, then press Make picture."
LATEST = "Your latest picture."
WAITING = "{ahead} ahead of you"
LOADING = "Loading the model. This happens once after the start."
LOADING_MODEL = "Loading {model} ..."
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
CHIP_MODEL = "Image model"
CHIP_WAITING = "model not loaded yet"
CHIP_LOADING = "loading the model ..."
CHIP_READY = "ready"
CHIP_FAILED = "the model could not be loaded"

sys.modules[__name__].__class__ = Words
