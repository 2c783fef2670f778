"""The names of the methods, for whoever offers them without what they are made of.

A node's choices are asked for when ComfyUI starts, and all methods together take a while to load.
"""

GUIDANCE = "guidance"
# those that make a student of few steps; ways.py has what each is
STEPS = (
    *("segments", "endpoint", "progressive"),
    *("lcm", "tcd", "pcm", "ict"),
    *("tdm", "dmd", "adversarial"),
)
EXPERIMENTAL = ("tdm", "dmd", "adversarial")
