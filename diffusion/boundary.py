"""The consistency boundary: a network forced to be the identity on clean data.

Song et al., "Consistency Models", arXiv:2303.01469, equation 5, with the discrete form of Luo et
al., "Latent Consistency Models", arXiv:2310.04378: the timestep, scaled, stands in for sigma.
"""


def boundary(timestep, sigma_data=0.5, timestep_scaling=10.0):
    """The weights c_skip of x and c_out of the x0 estimate.

    Args:
        timestep: 0..999, a number or a tensor [B, 1, ...].
        sigma_data: standard deviation of the data, as trained.
        timestep_scaling: how fast the boundary fades; 10 leaves 7e-6 of x at timestep 19.

    Returns:
        (c_skip, c_out), (1, 0) at timestep 0; of the same kind as `timestep`.
    """
    t = timestep * timestep_scaling
    c_skip = sigma_data**2 / (t**2 + sigma_data**2)
    c_out = t / (t**2 + sigma_data**2) ** 0.5
    return c_skip, c_out


def consistency(x_vp, x0, timestep, sigma_data=0.5, timestep_scaling=10.0):
    """c_skip * x + c_out * x0, the value of the consistency function.

    Args:
        x_vp: [B, C, ...] the network's input, VP-scaled as LCM was trained; ComfyUI's own LCM
            patch weighs the VE-scaled x instead, which differs by less than 1e-5 of x from
            timestep 19 on.
        x0: [B, C, ...] the network's x0 estimate.
        timestep: 0..999, a number or a tensor [B, 1, ...].

    Returns:
        [B, C, ...] the denoised estimate.
    """
    c_skip, c_out = boundary(timestep, sigma_data, timestep_scaling)
    return c_skip * x_vp + c_out * x0
