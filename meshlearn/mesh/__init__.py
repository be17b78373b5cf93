"""The one data type: Mesh, MeshBatch and Trajectory, with topology, geometry, quality, location and shapes.

Nothing is imported here: public names come from `meshlearn` itself, lazily.
"""
