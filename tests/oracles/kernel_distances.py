"""Two Gaussians whose kernel distances are known in closed form."""

import math

import numpy as np
import torch

# mean, covariance
A = (
    np.array([0.2, -0.1, 0.4]),
    np.array([[1.0, 0.3, 0.0], [0.3, 0.5, 0.1], [0.0, 0.1, 0.8]]),
)
B = (
    np.array([0.5, 0.1, 0.0]),
    np.array([[0.6, 0.0, 0.2], [0.0, 0.9, 0.0], [0.2, 0.0, 0.7]]),
)


def drawn(of, count, rng):
    """[count, D] draws."""
    return torch.tensor(rng.multivariate_normal(*of, size=count))


def expected_cubic(p, q):
    """Mean of (x.y / D + 1)^3 of independent x and y, by the moments of x.y given x."""
    (m, s), (n, t) = p, q
    dot, width = m @ n, len(m)
    second = np.trace(s @ t) + m @ t @ m + n @ s @ n + dot**2
    third = dot**3 + 3 * dot * (n @ s @ n) + 3 * dot * (np.trace(s @ t) + m @ t @ m)
    third += 6 * m @ t @ s @ n
    return third / width**3 + 3 * second / width**2 + 3 * dot / width + 1


def expected_gaussian(p, q, bandwidth=10.0):
    """Mean of exp(-|x - y|^2 / (2 bandwidth^2)) of independent x and y."""
    (m, s), (n, t) = p, q
    both = s + t + bandwidth**2 * np.eye(len(m))
    shrunk = bandwidth ** len(m) / math.sqrt(np.linalg.det(both))
    return shrunk * math.exp(-0.5 * (m - n) @ np.linalg.inv(both) @ (m - n))


def discrepancy(expected, p=A, q=B):
    """The squared maximum mean discrepancy of a kernel of that mean."""
    return expected(p, p) + expected(q, q) - 2 * expected(p, q)
