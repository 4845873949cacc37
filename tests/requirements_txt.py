"""requirements.txt, which a Hugging Face Space installs from, made from pyproject.toml.

python -m tests.requirements_txt            writes it
python -m tests.requirements_txt --check    exit code 1 when it is not what pyproject.toml says
"""

from __future__ import annotations

import argparse
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
TARGET = ROOT / "requirements.txt"
HEADER = "# Made from pyproject.toml by `make requirements`: change it there. Spaces read this file only.\n"


def requirements() -> str:
    """The whole text of requirements.txt: a header and one dependency a line, in pyproject's order."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return HEADER + "".join(f"{dependency}\n" for dependency in project["dependencies"])


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--check", action="store_true", help="only compare")
    if not parser.parse_args().check:
        TARGET.write_text(requirements(), encoding="utf-8")
    elif not TARGET.exists() or TARGET.read_text(encoding="utf-8") != requirements():
        print("requirements.txt is not what pyproject.toml says: run make requirements", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
