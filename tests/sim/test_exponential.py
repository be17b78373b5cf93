import itertools
import math

import torch

from meshlearn.sim.exponential import ExponentialStepper


def test_exponential_steps_are_exact_for_linear_equations():
    rates = torch.tensor([-1e6, -1.0, 0.0, 0.5], dtype=torch.float64)
    step = ExponentialStepper(rates, lambda v: torch.zeros_like(v), 0.3)
    assert torch.allclose(step(torch.ones_like(rates)), torch.exp(0.3 * rates), rtol=1e-14)


def test_exponential_steps_are_of_fourth_order_whatever_the_stiffness():
    for rate in (-1.0, -30.0):  # v' = rate (v - cos t) - sin t as an autonomous system, v = cos t
        errors = []
        for n in (20, 40, 80):

            def nonlinear(v, rate=rate):
                return torch.stack([-rate * v[1].cos() - v[1].sin(), torch.ones_like(v[1])])

            step = ExponentialStepper(torch.tensor([rate, 0.0], dtype=torch.float64), nonlinear, 2.0 / n)
            v = torch.tensor([1.0, 0.0], dtype=torch.float64)
            for _ in range(n):
                v = step(v)
            errors.append(abs(float(v[0]) - math.cos(2.0)))
        orders = [math.log2(a / b) for a, b in itertools.pairwise(errors)]
        assert min(orders) > 3.7, (rate, errors)


def test_exponential_steps_rotate_exactly_for_imaginary_rates():
    step = ExponentialStepper(torch.tensor([2j], dtype=torch.complex128), lambda v: 0 * v, 0.5)
    made = step(torch.ones(1, dtype=torch.complex128))
    assert torch.allclose(made, torch.exp(torch.tensor([1j], dtype=torch.complex128)), rtol=1e-14)
