import torch

import meshlearn as ml
from meshlearn.train.fields import resolve_fields
from meshlearn.train.increments import from_changes, present_values, to_changes


def test_outputs_that_are_inputs_are_learned_as_changes_and_others_as_they_are():
    mesh = ml.shapes.square(n=2)
    now = mesh.with_point_data(u=mesh.points[:, 0], v=mesh.points)
    later = mesh.with_point_data(u=2 * mesh.points[:, 0] + 1, v=3 * mesh.points)
    fields = resolve_fields(now, ["u"], ["u", "v"])
    truth = fields.targets(later)
    changes = to_changes(fields, now, truth)
    assert torch.equal(changes["point"][:, 0], mesh.points[:, 0] + 1)
    assert torch.equal(changes["point"][:, 1:], 3 * mesh.points)
    assert torch.equal(present_values(fields, now, truth)["point"][:, 1:], torch.zeros(9, 2))
    assert torch.allclose(from_changes(fields, now, changes)["point"], truth["point"])
