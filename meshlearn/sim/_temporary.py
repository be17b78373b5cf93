import numpy as np
from scipy.spatial import Delaunay
from meshlearn.mesh.mesh import Mesh


def mesh_polygon(corners, sides, holes, h):
    loops, tags, pts = [], [], []
    o = 0
    segs = []
    for i, name in enumerate(sides):
        a, b = np.array(corners[i]), np.array(corners[(i + 1) % len(corners)])
        n = max(1, round(np.linalg.norm(b - a) / h))
        pts.append(a + np.arange(n)[:, None] / n * (b - a))
        segs += [(o + k, o + k + 1, name) for k in range(n)]
        o += n
    segs[-1] = (segs[-1][0], 0, segs[-1][2])
    for j, (x, y, r) in enumerate(holes):
        n = max(12, round(2 * np.pi * r / h))
        t = np.arange(n) / n * 2 * np.pi
        pts.append(np.stack([x + r * np.cos(t), y + r * np.sin(t)], 1))
        segs += [(o + k, o + (k + 1) % n, f"hole_{j}") for k in range(n)]
        o += n
    boundary = np.concatenate(pts)
    c = np.array(corners)

    def depth(p):
        d = np.full(len(p), np.inf)
        for a, b in zip(c, np.roll(c, -1, 0)):
            e = (b - a) / np.linalg.norm(b - a)
            d = np.minimum(d, e[0] * (p[:, 1] - a[1]) - e[1] * (p[:, 0] - a[0]))
        for x, y, r in holes:
            d = np.minimum(d, np.hypot(p[:, 0] - x, p[:, 1] - y) - r)
        return d

    low, high = c.min(0), c.max(0)
    gx = np.arange(low[0], high[0], h)
    gy = np.arange(low[1], high[1], h * np.sqrt(3) / 2)
    g = np.stack(np.meshgrid(gx, gy), -1)
    g[1::2, :, 0] += h / 2
    g = g.reshape(-1, 2)
    g = g[depth(g) > 0.6 * h]
    p = np.concatenate([boundary, g])
    for it in range(12):
        t = Delaunay(p).simplices
        t = t[depth(p[t].mean(1)) > 1e-3 * h]
        if it == 11:
            break
        e = np.concatenate([t[:, [0, 1]], t[:, [1, 2]], t[:, [2, 0]]])
        s = np.zeros_like(p)
        k = np.zeros(len(p))
        for a, b in ((0, 1), (1, 0)):
            np.add.at(s, e[:, a], p[e[:, b]])
            np.add.at(k, e[:, a], 1)
        q = s / k[:, None]
        p[len(boundary) :] = q[len(boundary) :]
    x = p[t]
    area = (x[:, 1, 0] - x[:, 0, 0]) * (x[:, 2, 1] - x[:, 0, 1]) - (x[:, 1, 1] - x[:, 0, 1]) * (x[:, 2, 0] - x[:, 0, 0])
    t = np.where(area[:, None] > 0, t, t[:, [0, 2, 1]])
    t = t[np.abs(area) > 1e-6 * h * h]
    lines = np.array([s[:2] for s in segs])
    names = np.array([s[2] for s in segs])
    sets = {n: {"line": np.flatnonzero(names == n)} for n in dict.fromkeys(names)}
    return Mesh(p, {"triangle": t.astype(np.int64), "line": lines}, cell_sets=sets)
