"""Small scenes: a block that is thrown, deforms and bounces, as particles and as a mesh."""

import torch

import meshlearn as ml
from meshlearn.sim import dynamics, mpm

TRUTH = mpm.NeoHookean(2e4, 0.3)
BLOCK = mpm.Body.fill(ml.shapes.rectangle(0.4, 0.3, n=1), TRUTH, 1 / 20, shift=(0.3, 0.3))
MESH = ml.shapes.rectangle(0.4, 0.3, n=(4, 3))


def stretching(points, speed=2.0):
    """Velocities that shear and stretch a body, with its momentum and spin zero."""
    away = points - points.mean(0)
    return speed * away.flip(1)


def thrown(law, dtype=torch.float32, gravity=0.0, fall=0.0):
    points = BLOCK.points.to(dtype)
    velocity = stretching(points) + torch.tensor([0.0, -fall], dtype=dtype)
    body = mpm.Body(points, law, BLOCK.volume.to(dtype), velocity=velocity)
    return mpm.MPM(body, 0.1, (0, 0), (1, 1), gravity=(0.0, -gravity))


def meshed(law):
    return dynamics.ElasticDynamics(MESH, law, velocity=lambda x: stretching(x, 4.0), safety=0.4)
