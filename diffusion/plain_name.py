"""Names that may become files or folders, on any system and in no other place."""

import re

PLAIN_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._ -]{0,99}")


def check_plain(name: str) -> None:
    """Refuse a name that could lead elsewhere.

    Raises:
        ValueError: the name is empty, or has other than letters, digits, blanks, '.', '_' and '-'.
    """
    if not (isinstance(name, str) and PLAIN_NAME.fullmatch(name)):
        raise ValueError(
            f"name is {name!r}; allowed are letters, digits, blanks, '.', '_' and '-', the first a "
            "letter or digit. It becomes a file or folder."
        )
