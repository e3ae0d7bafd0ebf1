import pytest
from support.stick_pool import make_stick_pool


@pytest.fixture(scope="session")
def stick_pool():
    return make_stick_pool()
