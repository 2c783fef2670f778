"""Fixtures that the tests of the cache share: small networks, and a MODEL with a cache on it."""

import importlib

import pytest

from fewstep.cache.policy import FIRST_BLOCK, FIXED, WHOLE_STEP, Policy

EVERY_THIRD = Policy(FIXED, 0.0, 2)
POLICIES = [EVERY_THIRD, Policy(FIRST_BLOCK, 10.0, 2), Policy(WHOLE_STEP, 10.0, 2)]
KINDS = [policy.kind for policy in POLICIES]


@pytest.fixture(scope="module")
def nets(host):
    return importlib.import_module("host.cached_runs")


@pytest.fixture(scope="module")
def cache(host):
    return importlib.import_module("fewstep.nodes.host.cache_run")


@pytest.fixture(scope="module")
def unet(nets):
    return nets.network("SD 1.5")


@pytest.fixture(scope="module")
def flux(nets):
    return nets.network("FLUX")


@pytest.fixture(params=["SD 1.5", "FLUX"])
def either(request, unet, flux):
    """One of the two."""
    return {"SD 1.5": unet, "FLUX": flux}[request.param]


def cached(cache, net, policy, order=0, **settings):
    """The MODEL with a cache, and the reports of its runs."""
    reports = []
    # the small networks have fewer blocks than some families compute at the front
    settings = cache.Settings(policy, order, **{"front_blocks": 1, **settings})
    return cache.with_cache(net.model, settings, reports.append), reports
