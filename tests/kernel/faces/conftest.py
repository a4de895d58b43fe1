from tests.support.house import house  # noqa: F401 - a fixture
