"""The core without ComfyUI, on diffusers."""
