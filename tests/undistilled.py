"""Recipes of models that are not distilled, which stand beside a distilled twin."""

# what stands among the recipes because a distilled twin is mistaken for it
BASES = {
    "ace-step-1.5-xl-base",
    "anima-base",
    "ernie-image",
    "fibo2-dev",
    "flux2-dev",
    "flux2-klein-base-4b",
    "flux2-klein-base-9b",
    "flux3-klein-base",
    "hidream-i1-full",
    "lens",
    "mage-flow",
    "qwen-image-2.1",
    "qwen-image-2512",
    "stable-audio-3-medium-base",
    "z-image",
}
