"""Where the user's files lie, and what the user has set."""

import json
import logging
from pathlib import Path
from typing import Any

import folder_paths


def setting(name: str) -> Any:
    """A value from the default user's ComfyUI settings; None where it was never set."""
    path = Path(folder_paths.get_user_directory()) / "default" / "comfy.settings.json"
    try:
        settings = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(settings, dict):
            raise ValueError("it holds no JSON object")
        return settings.get(name)
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        logging.warning("FewStep could not read its settings from %s: %s", path, error)
        return None
