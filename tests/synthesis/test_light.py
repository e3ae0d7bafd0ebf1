import numpy as np

from mion_plugin.synthesis.light import draw_light, irradiance


def test_irradiance_is_ramamoorthis_quadratic_form():
    # eq. 11 and 12 of the paper: n^T M n with n = (x, y, z, 1)
    rng = np.random.default_rng(0)
    normals = rng.normal(size=(500, 3))
    normals /= np.linalg.norm(normals, axis=1, keepdims=True)
    c1, c2, c3, c4, c5 = 0.429043, 0.511664, 0.743125, 0.886227, 0.247708
    for seed in range(5):
        coefficients = draw_light(np.random.default_rng(seed))
        l00, l1m1, l10, l11, l2m2, l2m1, l20, l21, l22 = coefficients
        matrix = np.array([
            [c1 * l22, c1 * l2m2, c1 * l21, c2 * l11],
            [c1 * l2m2, -c1 * l22, c1 * l2m1, c2 * l1m1],
            [c1 * l21, c1 * l2m1, c3 * l20, c2 * l10],
            [c2 * l11, c2 * l1m1, c2 * l10, c4 * l00 - c5 * l20],
        ])  # fmt: skip
        homogeneous = np.concatenate([normals, np.ones((500, 1))], axis=1)
        expected = np.einsum("ni,ij,nj->n", homogeneous, matrix, homogeneous)
        np.testing.assert_allclose(irradiance(normals, coefficients), np.maximum(expected, 0.15), atol=1e-6)


def test_light_comes_from_above_on_average():
    up, down = np.array([[0.0, -1.0, 0.0]]), np.array([[0.0, 1.0, 0.0]])
    lights = [draw_light(np.random.default_rng(seed)) for seed in range(300)]
    assert np.mean([irradiance(up, light) - irradiance(down, light) for light in lights]) > 0.3


def test_coefficients_lie_in_surreals_ranges():
    lights = np.stack([draw_light(np.random.default_rng(seed)) for seed in range(500)])
    assert lights[:, 0].min() >= 0.5
    assert lights[:, 0].max() <= 1.4
    assert lights[:, 1].min() >= -0.7
    assert lights[:, 1].max() <= 0
    assert np.abs(lights[:, 2:]).max() <= 0.7
