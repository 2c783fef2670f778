"""The only door to ComfyUI's internals; each file is one side of the core."""
