"""Device placement: without a GPU by fake CUDA tensors, which also refuse to wait for a value."""

import pytest
import torch
from support.fake_tensors import become_fake
from torch._subclasses.fake_tensor import FakeTensorMode

from mion_plugin.bodies import Bodies
from mion_plugin.fitting.problem import FitProblem
from mion_plugin.fitting.solver import minimize

NAMES = ("pose", "betas", "transl", "cost")


def test_everything_stays_on_its_device(make_fit):
    fit = make_fit()
    with FakeTensorMode():
        become_fake(fit)
        shapes = ((2, 3, 24, 3, 3), (2, 3, 10), (2, 3, 3))
        start = Bodies(*(torch.empty(shape, device="cuda") for shape in shapes))
        fitted = fit(start, torch.empty(2, 17, 3, device="cuda"))
        assert {getattr(fitted, name).device.type for name in NAMES} == {"cuda"}
        rotvec = torch.empty(2, 3, 24, 3, device="cuda")
        start, _ = fit._start(*(torch.empty(6, *shape, device="cuda") for shape in ((24, 3, 3), (10,), (3,))))
        observed = fit._observe(torch.empty(2, 17, 3, device="cuda"), paths=3)
        problem = FitProblem(fit.chain, fit.camera, start, observed, fit.prior(), fit.cutoff)
        point, _ = minimize(problem, torch.empty(6, 85, device="cuda"), 2)
    assert point.device.type == rotvec.device.type == "cuda"


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_a_gpu_fits_what_a_cpu_fits(make_fit, make_people):
    people, fit = make_people(images=6, paths=5, noise=1.0), make_fit()
    expected = fit(*people.inputs)
    start = Bodies(*(value.to("cuda") for value in (people.pose, people.betas, people.transl)))
    fitted = fit.to("cuda")(start, people.keypoints2d.to("cuda"))
    for name in NAMES:
        torch.testing.assert_close(getattr(fitted, name).cpu(), getattr(expected, name), atol=1e-3, rtol=1e-4)
