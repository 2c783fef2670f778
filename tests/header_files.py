"""Headers of files that were never written: the names and shapes of a state dict."""

from fewstep.lora.header import Header, TensorInfo


def infos(state_dict, prefix=""):
    return {prefix + key: TensorInfo("F16", tuple(t.shape), 0, 0) for key, t in state_dict.items()}


def header_of(state_dict, prefix=""):
    return Header(infos(state_dict, prefix), {}, 0)
