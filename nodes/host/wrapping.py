"""Wrappers and patches of a MODEL, kept on it or put up for one sampling run."""

from comfy.patcher_extension import WrappersMP, add_wrapper_with_key


def with_wrapper(model, kind: str, key: str, wrapper):
    """A copy of a MODEL with a wrapper; one of the same kind and key is replaced.

    Args:
        kind: one of comfy.patcher_extension.WrappersMP.
        wrapper: (executor, *arguments) -> what executor(*arguments) would give.
    """
    model = model.clone()
    model.remove_wrappers_with_key(kind, key)
    model.add_wrapper_with_key(kind, key, wrapper)
    return model


def with_run(model, key: str, run):
    """A copy of a MODEL that enters run(guider, sampler, sigmas) around every sampling run.

    Nothing of a run outlives it: guider.model_options is a copy that ComfyUI makes for each run, so
    state and patches that are put there are gone with it. The network is not loaded yet.

    Args:
        run: gives a context manager; sigmas is a tensor of N + 1 falling levels.
    """

    def around(executor, noise, latent_image, sampler, sigmas, *others, **named):
        with run(executor.class_obj, sampler, sigmas):
            return executor(noise, latent_image, sampler, sigmas, *others, **named)

    return with_wrapper(model, WrappersMP.OUTER_SAMPLE, key, around)


def wrap_run(guider, kind: str, key: str, wrapper) -> None:
    """Put a wrapper up for the run that has just begun."""
    add_wrapper_with_key(kind, key, wrapper, guider.model_options, is_model_options=True)


def has_wrapper(model, kind: str, key: str) -> bool:
    """Whether a MODEL has a wrapper of this kind and key."""
    return bool(model.get_wrappers(kind, key))
