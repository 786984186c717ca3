"""The reference tube: one mesh topology for every axon, stacked sections of rings and triangles."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from napari_remidi.physics.mesh import boundary_faces, signed_volumes


@dataclass(frozen=True)
class Tube:
    """A tube of `layers` sections, each a centre and `rings` rings of 6, 12, 18 ... nodes (or `sectors` nodes each).

    A polygon inscribed in a circle loses area, the largest error of a coarse mesh, so the section is scaled to the
    area of the circle.

    Attributes
    ----------
    rings, layers : how fine
    sectors : nodes of the outermost ring where every ring has as many; 0 for rings of 6, 12, 18 ...
    """

    rings: int
    layers: int
    sectors: int = 0

    @cached_property
    def section(self) -> NDArray[np.float64]:
        """Radius (0 to about 1) and angle of the nodes of a section, (s, 2)."""
        nodes = [(0.0, 0.0)]
        for ring in range(1, self.rings + 1):
            count = self.sectors or 6 * ring
            nodes += [(ring / self.rings, 2 * np.pi * k / count) for k in range(count)]
        section = np.array(nodes)
        turn = 2 * np.pi / (self.sectors or 6 * self.rings)
        section[:, 0] *= np.sqrt(turn / np.sin(turn))
        return section

    @cached_property
    def disc(self) -> NDArray[np.float64]:
        """One, x and y of the nodes of a section, (3, s): what an affine map of the section is applied to."""
        rho, angle = self.section.T
        return np.stack([np.ones_like(rho), rho * np.cos(angle), rho * np.sin(angle)])

    @cached_property
    def triangles(self) -> NDArray[np.int64]:
        """Triangles of a section, (t, 3)."""
        counts = [1] + [self.sectors or 6 * ring for ring in range(1, self.rings + 1)]
        first = np.concatenate([[0], np.cumsum(counts)])
        triangles: list[tuple[int, int, int]] = []
        for ring in range(1, self.rings + 1):
            inner, outer = counts[ring - 1], counts[ring]
            i = j = 0
            while j < outer or i < (inner if inner > 1 else 0):
                here = first[ring] + j % outer
                below = first[ring - 1] + i % inner
                if inner == 1 or (j < outer and (j + 1) * inner <= (i + 1) * outer):
                    triangles.append((below, here, first[ring] + (j + 1) % outer))
                    j += 1
                else:
                    triangles.append((below, here, first[ring - 1] + (i + 1) % inner))
                    i += 1
        return np.array(triangles)

    @cached_property
    def tetrahedra(self) -> NDArray[np.int64]:
        """(m, 4), positively oriented; every prism cut in three, neighbours alike."""
        count = len(self.section)
        a, b, c = np.sort(self.triangles, axis=1).T
        parts = []
        for low in count * np.arange(self.layers - 1):
            high = low + count
            parts.append(np.stack([a + low, b + low, c + low, c + high], axis=1))
            parts.append(np.stack([a + low, b + low, b + high, c + high], axis=1))
            parts.append(np.stack([a + low, a + high, b + high, c + high], axis=1))
        tetrahedra = np.concatenate(parts)
        turned = signed_volumes(self.straight(1.0, 10.0), tetrahedra) < 0
        tetrahedra[turned] = tetrahedra[turned][:, [0, 2, 1, 3]]
        return tetrahedra

    @cached_property
    def boundary(self) -> NDArray[np.int64]:
        """Surface triangles, (k, 3), normals outward."""
        return boundary_faces(self.tetrahedra)

    def halved(self) -> "Tube":
        """With half the spacing every way."""
        return Tube(2 * self.rings, 2 * self.layers - 1, 2 * self.sectors)

    def coarser(self) -> "Tube":
        """With a ring fewer and four fifths of the sections, about a third of the nodes."""
        return Tube(max(self.rings - 1, 1), max(round(0.8 * self.layers), 2), self.sectors)

    def interpolated(self, values: NDArray[np.floating], finer: "Tube") -> NDArray[np.floating]:
        """Nodal values, (n, r), at the nodes of another tube: linear in every triangle of a section and between
        sections.
        """
        corners = self.disc.T[self.triangles]  # (t, 3, 3): one, x, y
        shares = np.einsum("ks,tkc->stc", finer.disc, np.linalg.inv(corners))
        nearest = shares.min(axis=2).argmax(axis=1)
        across = np.zeros((len(nearest), len(self.section)))
        np.put_along_axis(across, self.triangles[nearest], shares[np.arange(len(nearest)), nearest], axis=1)
        layer = np.linspace(0, self.layers - 1, finer.layers)
        below = np.minimum(layer.astype(int), self.layers - 2)
        share = (layer - below)[:, None, None]
        sections = across @ values.reshape(self.layers, len(self.section), -1)
        between = (1 - share) * sections[below] + share * sections[below + 1]
        return between.reshape(-1, values.shape[1]).astype(values.dtype)

    def straight(self, radius: float, length: float) -> NDArray[np.float64]:
        """Nodes of a straight tube along z, centred, (n, 3) µm."""
        rho, angle = self.section.T
        flat = radius * np.stack([rho * np.cos(angle), rho * np.sin(angle)], axis=1)
        heights = np.linspace(-length / 2, length / 2, self.layers)
        return np.concatenate([np.c_[flat, np.full(len(flat), z)] for z in heights])
