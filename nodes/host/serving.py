"""ComfyUI's server, where there is one."""

import sys


def server():
    """PromptServer.instance; None in a ComfyUI that serves nobody, as in a script."""
    return getattr(getattr(sys.modules.get("server"), "PromptServer", None), "instance", None)
