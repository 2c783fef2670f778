"""FewStep: pictures in 1 to 8 network passes. Importing the pack imports nothing else."""

WEB_DIRECTORY = "./web"


async def comfy_entrypoint():
    """Give ComfyUI the pack's nodes."""
    from .nodes import FewStepExtension

    return FewStepExtension()
