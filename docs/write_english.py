"""Writes locales/en/nodeDefs.json: the texts of our nodes as a running ComfyUI tells them."""

import json
import sys
import urllib.request
from pathlib import Path

ENGLISH = Path(__file__).resolve().parent.parent / "locales" / "en" / "nodeDefs.json"


def told(object_info: dict) -> dict:
    """The texts of our nodes in object_info, the answer of ComfyUI's /object_info, by their keys.

    An output that has its type for a name has none here: the page knows the types itself.
    """
    nodes = {name: node for name, node in object_info.items() if name.startswith("FewStep")}
    return {name: of_node(nodes[name]) for name in sorted(nodes)}


def of_node(node: dict) -> dict:
    inputs = {**node["input"].get("required", {}), **node["input"].get("optional", {})}
    outputs = zip(node["output"], node["output_name"], node["output_tooltips"], strict=True)
    return with_text(
        {
            "display_name": node["display_name"],
            "description": node["description"],
            "inputs": {
                name: with_text({"name": name, "tooltip": of_input(described)})
                for name, described in inputs.items()
            },
            "outputs": with_text(
                {
                    str(index): with_text(
                        {"name": None if name == kind else name, "tooltip": tooltip}
                    )
                    for index, (kind, name, tooltip) in enumerate(outputs)
                }
            ),
        }
    )


def of_input(described: list) -> str | None:
    return described[1].get("tooltip") if len(described) > 1 else None


def with_text(parts: dict) -> dict:
    return {key: part for key, part in parts.items() if part}


def main(address: str) -> None:
    with urllib.request.urlopen(f"{address.rstrip('/')}/object_info") as response:
        texts = told(json.load(response))
    ENGLISH.parent.mkdir(parents=True, exist_ok=True)
    ENGLISH.write_text(
        json.dumps(texts, ensure_ascii=False, indent=1) + "\n", encoding="utf-8", newline="\n"
    )


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: python docs/write_english.py http://127.0.0.1:8188")
    main(sys.argv[1])
