"""Where a body's joints are at rest; linear in the betas."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mion_plugin.body.arrays import BodyArrays


@dataclass(frozen=True, eq=False)
class RestJoints:
    """The 24 joints in the rest pose: float64, metres, SMPL axes.

    Attributes:
        mean: (24, 3) of the mean shape.
        by_betas: (24, 3, 10) displacement per unit of each beta.
    """

    mean: np.ndarray
    by_betas: np.ndarray

    @classmethod
    def of(cls, body: BodyArrays) -> RestJoints:
        """Those of a body; summed in float64, they are of thousands of terms."""
        regressor = body.J_regressor.astype(np.float64)
        return cls(regressor @ body.v_template, np.tensordot(regressor, body.shapedirs, axes=1))

    def pelvis(self, betas: np.ndarray) -> np.ndarray:
        """(..., 3) the joint about which the whole body turns, of betas (..., 10)."""
        return self.mean[0] + np.asarray(betas, np.float64) @ self.by_betas[0].T
